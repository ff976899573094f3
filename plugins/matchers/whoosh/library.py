"""The one place that imports the Whoosh library.

Its sources hold string escapes that Python 3.12 and later warn about while compiling them
(SyntaxWarning, before that DeprecationWarning). They are its authors' to mend and harmless here; but
where warnings are errors the import would fail on the first run and pass on the second, once the
compiled files are cached. So the warnings are silenced for these imports and for nothing else.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    from whoosh.analysis import Token
    from whoosh.fields import STORED, TEXT, Schema
    from whoosh.filedb.filestore import FileStorage, RamStorage, copy_to_ram
    from whoosh.highlight import ContextFragmenter, Formatter, WholeFragmenter, highlight
    from whoosh.lang import has_stemmer, has_stopwords, stemmer_for_language, stopwords_for_language
    from whoosh.reading import TermNotFound
    from whoosh.scoring import BM25F
    from whoosh.searching import Searcher

__all__ = [
    "BM25F",
    "STORED",
    "TEXT",
    "ContextFragmenter",
    "FileStorage",
    "Formatter",
    "RamStorage",
    "Schema",
    "Searcher",
    "TermNotFound",
    "Token",
    "WholeFragmenter",
    "copy_to_ram",
    "has_stemmer",
    "has_stopwords",
    "highlight",
    "stemmer_for_language",
    "stopwords_for_language",
]
