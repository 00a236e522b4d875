"""llama.cpp's library from the npm package of peers.sh, for convert.py and importance.py."""
import ctypes, glob, os, struct


class Params(ctypes.Structure):
    # Passed in memory; larger than the real struct, which begins with threads and ftype.
    _fields_ = [("bytes", ctypes.c_byte * 256)]


def load(folder):
    """The libraries ggml-base and llama below a folder with node_modules; the working directory becomes theirs."""
    libs = os.path.abspath(glob.glob(folder + "/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64")[0])
    open_library = lambda name: ctypes.CDLL(glob.glob(f"{libs}/{name}")[0], mode=ctypes.RTLD_GLOBAL)
    os.chdir(libs)
    base = open_library("libggml-base*.so")
    ggml, llama = open_library("libggml.*so"), open_library("libllama.*so")
    ggml.ggml_backend_load_all_from_path(libs.encode())
    llama.llama_model_quantize_default_params.restype = Params
    return base, llama


def quantize(llama, source, target, ftype, threads):
    """Writes a GGUF file as another type; the result is 0 if all went well."""
    raw = bytearray(bytes(llama.llama_model_quantize_default_params()))
    struct.pack_into("<ii", raw, 0, threads, ftype)
    return llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(Params.from_buffer_copy(bytes(raw))))
