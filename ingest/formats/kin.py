"""Logformats beside Squid's own and `combined` that are known without a setting."""

from ingest.formats.logformat import Logformat
from ingest.formats.squid import FAIRWATCH, NATIVE, Squid

CLF = '%>a %ui %un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st'
KIN = (
    Logformat("squid", "Squid native with request and reply headers", NATIVE.replace("%[un", "%un") + " [%>h] [%<h]"),
    Logformat("squid", "Squid native with referer and agent", NATIVE.replace("%[un", "%un") + ' "%{Referer}>h" "%{User-Agent}>h"'),
    Logformat("squid", "Squid native with a time in words", "%{%Y-%m-%dT%H:%M:%S}tl.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %un %Sh/%<a %mt"),
    Logformat("squid", "Squid native with common's time", "%tl %6tr %>a %Ss/%03>Hs %<st %rm %ru %un %Sh/%<a %mt"),
    Logformat("squid", "Squid referrer", "%ts.%03tu %>a %{Referer}>h %ru"),
    Logformat("combined", "Squid common", CLF + " %Ss:%Sh"),
    Logformat("combined", "Squid combined, any names", CLF + ' "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh'),
    Logformat("combined", "Apache combined with virtual hosts", "%V:%lp " + CLF + ' "%{Referer}>h" "%{User-Agent}>h"', "Apache httpd 2.x"),
    Logformat("combined", "common log format", CLF, "Apache httpd, tinyproxy and others"),
    Squid("squid", "Squid native with what the browser says", FAIRWATCH),
    Logformat("squid", "Squid native with a date and a time", "%{%Y-%m-%d %H:%M:%S}tl %6tr %>a %Ss/%03>Hs %<st %rm %ru %un %Sh/%<a %mt"),
    Logformat("squid", "Squid native with the weekday's time", "%{%a %b %d %H:%M:%S %Y}tl %6tr %>a %Ss/%03>Hs %<st %rm %ru %un %Sh/%<a %mt"),
    Logformat("squid", "Squid native without the content type", "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %un %Sh/%<a", "Kerio WinRoute Firewall 5 and 6"),
    Logformat("squid", "Squid native with what was bumped", NATIVE.replace("%[un", "%un") + " %ssl::bump_mode %ssl::>sni"),
)  # fmt: skip
