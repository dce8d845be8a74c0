"""The doors of time and queues: RQ workers and the clock. They open, call one verb, close."""
