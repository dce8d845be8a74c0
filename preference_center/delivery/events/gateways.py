"""Programs that open mail and follow its links by themselves, by their names, as data: add what you see.

The list is our judgement: names of mail gateways, and of the libraries scanners are written with; none of them has to say who it is.
Networks are not listed: what makers publish are those that mail comes from, and we keep no network addresses of readers. Image
proxies that fetch only when a person opens the mail (Gmail's, Outlook's) are no machines in this sense.
"""

# parts of the User-Agent, in small letters
USER_AGENTS = (
    "barracuda",
    "mimecast",
    "proofpoint",
    "urldefense",
    "symantec",
    "messagelabs",
    "trendmicro",
    "sophos",
    "forcepoint",
    "ironport",
    "fireeye",
    "zscaler",
    "safelinks",
    "avanan",
    "cloudmark",
    "bitdefender",
    "yahoo! slurp",
    "yahoomailproxy-prefetch",
    "python-requests",
    "go-http-client",
    "curl/",
    "wget/",
    "headlesschrome",
    "phantomjs",
    "bot/",
    "spider",
    "crawler",
)
