"""CHECK.txt: how a stranger checks a certificate with a shell, line by line."""

from collections.abc import Collection

from reports.checkpoints import Made
from reports.render import date_in_words

BEFORE = """\
How to check this certificate without Fairwatch
===============================================

You need a POSIX shell with sha256sum, base64 and openssl (3.0 or later): any Linux machine, macOS with
coreutils, or WSL on Windows. No network. Lines that begin with four blanks are to be typed, in this order.

1. Nothing was changed since it was packed. In the folder that the zip unpacks to:

    sha256sum -c manifest-sha256.txt
    sha256sum -c tagmanifest-sha256.txt
    cd data

   Every line has to say OK.

2. Page and data are signed by the key in signing.pub.pem:

    openssl pkeyutl -verify -pubin -inkey signing.pub.pem -rawin -in certificate.json -sigfile certificate.json.sig
    openssl pkeyutl -verify -pubin -inkey signing.pub.pem -rawin -in certificate.html -sigfile certificate.html.sig

   And this is the key you were given when Fairwatch was set up, by another way than this bundle:

    openssl pkey -pubin -in signing.pub.pem -outform DER | sha256sum

   has to print what you noted then. The bundle itself would say so of a stranger's key, too:
   @SIGNER@

3. The ledger speaks of this certificate. act.jsonl is the ledger's line about it, and holds both digests:

    grep -c "\\"json\\":\\"$(sha256sum < certificate.json | cut -c1-64)\\"" act.jsonl
    grep -c "\\"html\\":\\"$(sha256sum < certificate.html | cut -c1-64)\\"" act.jsonl

   Both have to print 1.

4. That line stands in the ledger that checkpoint.txt tells of (@ACTS@ acts):

    { printf '\\000'; cat act.jsonl; } | openssl dgst -sha256 -binary > ../hash
    grep -E '^(left|right) ' inclusion.txt | while read -r side value; do
      printf '%s' "$value" | base64 -d > ../other
      case $side in
        left)  { printf '\\001'; cat ../other ../hash; } ;;
        right) { printf '\\001'; cat ../hash ../other; } ;;
      esac | openssl dgst -sha256 -binary > ../above
      mv ../above ../hash
    done
    if [ "$(base64 < ../hash)" = "$(sed -n 3p checkpoint.txt)" ]; then echo "the act is in the ledger"; else echo "NOT in the ledger"; fi

5. The checkpoint is signed by the same key:

    sed '/^$/,$d' checkpoint.txt > ../body
    sed '1,/^$/d' checkpoint.txt | cut -d' ' -f3 | base64 -d | tail -c 64 > ../sig
    openssl pkeyutl -verify -pubin -inkey signing.pub.pem -rawin -in ../body -sigfile ../sig

"""

STAMPED = """\
6. When: a time stamp authority saw the checkpoint at @TIME@. With the certificate of that
   authority as ../tsa-ca.pem (get it from the authority, not from here):

    openssl ts -verify -in checkpoint.tsr -data checkpoint.txt -CAfile ../tsa-ca.pem

"""

UNSTAMPED = """\
6. When: there is no time stamp by somebody else; this is a gap. The times in the certificate are the
   word of the machine that made it; the date on which you were given it is what you know yourself.
@WHY@
"""

AFTER = """\
7. Keep checkpoint.txt. Whoever rewrites the ledger later cannot do it in agreement with what you hold:
   ask for `fairwatch ledger verify --against checkpoint.txt` at any time, or for a proof that you can
   check yourself: `fairwatch ledger consistency checkpoint.txt`.

8. What the certificate says of what is left can be looked at again on the machine, by
   `fairwatch retention verify`@VERIFIER@.

What this proves: which files were removed, when the ledger says so, that the ledger has not been
rewritten since you hold a checkpoint of it, and that these pages are the ones that were made then.
What it cannot prove: that no copy exists where Fairwatch cannot look. The page lists what is known
of backups, and what is not.
"""

VERIFIER = """, or
   by verify.py in this folder, with any Python 3.11 that has pyarrow: python3 verify.py --help"""


def check_steps(made: Made, names: Collection[str], signer: str) -> bytes:
    """CHECK.txt for a bundle of these files; its lines that begin with four blanks are commands."""
    when = made.stamped
    told = {
        "SIGNER": signer,
        "ACTS": str(made.checkpoint.size),
        "TIME": f"{when:%H:%M:%S} UTC on {date_in_words(when)}" if when else "",
        "WHY": "".join(f"   ({why})\n" for why in made.failed),
        "VERIFIER": VERIFIER if "verify.py" in names else "",
    }
    text = BEFORE + (STAMPED if when else UNSTAMPED) + AFTER
    for keyword, value in told.items():
        text = text.replace(f"@{keyword}@", value)
    return text.replace("\N{NO-BREAK SPACE}", " ").encode()
