"""What runs every minute, hour and night: the job, and the seconds between two rings."""

from preference_center import jobs
from preference_center.jobs import Job

EVERY: dict[Job, int] = {
    jobs.START_DUE: 10,
    jobs.SWEEP: 20,
    jobs.PROCESS_POSTS: 10,
    jobs.READ_MAILBOX: 60,
    jobs.SEND_NOTICE: 60,
    jobs.TIDY_IMPORTS: 300,
    jobs.TIDY_UP: 24 * 3600,  # and at the start of a clock
    jobs.CHECKPOINT: 3600,
    jobs.EXPIRE_CONSENT: 3600,
    jobs.ASK_TO_RENEW: 24 * 3600,
    jobs.TELL_OF_REQUESTS: 24 * 3600,
}

SEAL_EVERY, SEAL_AGAIN = 1.0, 15.0  # seconds; the second after the database did not answer
