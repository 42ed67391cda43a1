"""Awkward valid keys, hostile names, and keys that point outside a storage."""

__all__ = ["ESCAPES", "KEYS", "NAMES"]

KEYS = {
    "plain": "plain.txt",
    "nested": "a/b/c/d.txt",
    "no extension": "README",
    "upper case": "Folder/UPPER.TXT",
    "blank": "two words/three small words.txt",
    "unicode": "合同/照片.jpg",
    "emoji": "🎉.png",
    "percent": "a%41.png",
    "percent slash": "a%2Fb.png",
    "plus": "a+b=c.txt",
    "hash": "#1 hash.txt",
    "apostrophe": "O'Brien & Söhne.txt",
    "ampersand": "a&b;c,d=e@f.txt",
    "brackets": "a(1)[2]{3}~$^!.txt",
    "dots": "report..final.v1..2.pdf",
    "long": f"{'x' * 251}.txt",
}
"""Keys that `upload` accepts, and every storage keeps apart, character by character."""

NAMES = {
    "question mark": "what?.txt",
    "double quote": 'say "hi".txt',
    "traversal": "../../etc/passwd",
    "windows traversal": "..\\..\\x.txt",
    "absolute": "/etc/passwd",
    "drive": "C:\\x\\y.png",
    "nul": "a\0.png",
    "header injection": 'a"\r\nSet-Cookie: owned=1.txt',
    "right to left": "photo_\u202egnp.exe",
    "lone surrogate": "a\ud800.txt",
    "fullwidth traversal": "．．／etc",  # noqa: RUF001 - the point of this name
    "scheme": "s3:bucket/key.txt",
    "hidden": ".htaccess",
    "device": "CON",
    "dots": "..",
    "empty": "",
    "long": "照" * 200 + ".jpg",
}
"""Names that clients may give their files: `save` accepts them all."""

ESCAPES = {
    "empty": "",
    "dot": ".",
    "parent": "..",
    "parent's file": "../outside.txt",
    "inner dot": "folder/./canary.txt",
    "inner parent": "folder/../canary.txt",
    "final parent": "folder/..",
    "absolute": "/canary.txt",
    "two slashes": "folder//canary.txt",
    "trailing slash": "folder/",
    "backslash": "..\\canary.txt",
    "nul": "canary.txt\0",
    "newline": "canary.txt\n",
    "lone surrogate": "canary\ud800.txt",
    "another storage": "gs:elsewhere/canary.txt",
    "one more storage": "s3:elsewhere/canary.txt",
    "unknown scheme": "nowhere:canary.txt",
    "url": "https://example.com/canary.txt",
}
"""Keys that lead elsewhere, or to the same file by another name."""
