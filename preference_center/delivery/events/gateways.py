"""Mail gateways and proxies that open mail and follow its links by themselves, as data: add what you see.

From the vendors' pages about their scanners and from logs; none of them promises to keep to it. Image proxies that fetch only when
a person opens the mail (Gmail's, Outlook's) are no machines in this sense and are not listed.
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

# networks they fetch from
NETWORKS = (
    "64.235.144.0/20",  # Barracuda
    "209.222.80.0/21",  # Barracuda
    "67.231.144.0/20",  # Proofpoint
    "148.163.128.0/19",  # Proofpoint
    "205.220.160.0/19",  # Proofpoint
    "207.211.30.0/23",  # Mimecast
    "205.139.110.0/23",  # Mimecast
    "40.92.0.0/15",  # Exchange Online Protection
    "40.107.0.0/16",  # Exchange Online Protection
    "52.100.0.0/14",  # Exchange Online Protection
    "104.47.0.0/17",  # Exchange Online Protection
    "216.71.128.0/19",  # Cisco Secure Email
    "68.232.128.0/19",  # Cisco Secure Email
)
