"""The option that a word means: names that people mistype, or know from other packages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from swarmgrid.errors import InputError

PEERS_WORDS = {
    "workers": "n_jobs n_workers num_workers max_workers nworkers processes n_processes nproc "
    "num_cpus parallel threads jobs",
    "store": "cache_dir cachedir cache_root path root memory location directory folder dir "
    "filename url target storage store_path",
    "storage_options": "credentials fs_options",
    "chunks": "chunk_size chunksize chunk_spec memo_chunk_spec chunk_shape",
    "exec_chunk_size": "batch_size task_size batchsize",
    "func": "function fn fun f func_name exec_fn callable",
    "version": "func_version cache_version token salt",
    "depends": "dependencies depends_on depend files",
    "verbose": "progress progress_bar progressbar show_progress verbosity disp",
    "rng": "seed random_state random_seed generator",
    "executor": "backend scheduler engine pool mode prefer",
    "client": "dask_client cluster",
    "axes": "axis grid combos sweep split_spec coords space parameters dims",
    "params": "constants fixed param kwargs args resources",
    "where": "mask condition filter",
    "on_error": "errors raise_errors error_handling ignore_errors",
    "retries": "max_retries n_retries retry",
    "retry_failed": "recompute_failed",
    "timeout": "time_limit max_time",
    "rate": "rate_limit throttle limiter calls_per_second",
    "memory_limit": "max_memory mem_limit max_nbytes",
    "outputs": "template result returns var_names output",
    "key": "encryption encryption_key secret password",
    "codec": "compressor compressors compression codecs",
    "encoding": "encodings",
    "tolerance": "tol atol rtol",
    "vectorized": "vectorize batch batched block",
    "flush_interval": "flush save_every checkpoint",
    "log": "logfile log_file logger",
    "on_event": "callback callbacks on_progress hook hooks on_result webhook",
    "view_chunks": "dask_chunks",
    "lease_seconds": "lock_timeout lease",
    "durability": "fsync sync",
}
"""The words that other packages, and people, use for our options."""
_MEANT = {word: name for name, words in PEERS_WORDS.items() for word in words.split()}
NOT_OPTIONS = frozenset({"params", "axes", "where"})
"""Arguments of a call that are no options."""


def unknown_option(name: object, names: Iterable[str], func: object = None) -> InputError:
    """The error that there is no option of a name; it says which one was meant.

    Parameters
    ----------
    name : object
        The given name.
    names : iterable of str
        The options there are.
    func : callable, optional
        The function, whose parameters are no options.
    """
    names = list(names)
    if isinstance(name, str) and name in parameters_of(func):
        return InputError(
            f"there is no option {name!r}; it is a parameter of the function. Pass its value in "
            f"params={{{name!r}: ...}}, or its values in axes={{{name!r}: [...]}}"
        )
    if name in NOT_OPTIONS:
        return InputError(f"{name!r} is no option: pass it in the call itself, {name}=...")
    close = meant(name, [*names, *NOT_OPTIONS])
    hint = f"; did you mean {close!r}?" if close else ";"
    return InputError(f"there is no option {name!r}{hint} Options: {', '.join(names)}")


def meant(word: object, names: Iterable[str]) -> str | None:
    """The name that a word probably stands for; None if there is none like it."""
    names = list(names)
    if not isinstance(word, str):
        return None
    plain = word.lower().replace("-", "_")
    if _MEANT.get(plain) in names:
        return _MEANT[plain]
    close = get_close_matches(plain, names, 1) or get_close_matches(plain, _MEANT, 1, 0.85)
    if not close or close[0] in names:
        return close[0] if close else None
    found = _MEANT.get(close[0])
    return found if found in names else None


def parameters_of(func: object) -> frozenset[str]:
    """The names of a function's parameters, as far as Python can tell."""
    import inspect

    if not callable(func):
        return frozenset()
    try:
        return frozenset(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return frozenset()
