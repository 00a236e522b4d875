package quantized

import (
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"qpt/convert/safetensors"
	"qpt/convert/stored"
)

// named demands that an error is one of ours.
func named(t *testing.T, err error) {
	if err == nil {
		return
	}
	for _, kind := range []error{ErrInput, ErrUnsupported, stored.ErrCodes, safetensors.ErrCorrupt} {
		if errors.Is(err, kind) {
			return
		}
	}
	t.Fatalf("no error of this package: %v", err)
}

// fuzzConfig: any config over a module of GPTQ, AWQ, .. opens and reads, or ends in an error of ours.
func fuzzConfig(f *testing.F, names ...string) {
	all := modules(f)
	for i, name := range names {
		f.Add(uint(i), []byte(all[name].Config))
	}
	f.Fuzz(func(t *testing.T, i uint, config []byte) {
		named(t, openAll("testdata/modules/"+names[i%uint(len(names))]+".safetensors", string(config)))
	})
}

func FuzzGPTQConfig(f *testing.F) {
	fuzzConfig(f, "gptq-4b-g32-descact", "gptq-3b-g32-sym", "awq-gemm-g32", "gptq-4b-g32-asym-v1")
}

func FuzzCompressedConfig(f *testing.F) {
	fuzzConfig(f, "ct-w4a16-g32-asym", "ct-w3a16-g32-v094", "ct-w8a8-static-asym", "ct-fp8-dynamic", "ct-nvfp4a16")
}

func FuzzModelOptConfig(f *testing.F) {
	fuzzConfig(f, "modelopt-fp8", "modelopt-nvfp4", "fp8-block128-tail", "ao-8da4w-g32", "bnb-nf4-dq", "hqq-3b-g64", "mlx-4b-g64")
}

// FuzzTensors: a module's tensors under any header and config, a few bytes of them changed, open and read, or end in an error of ours. Files are
// not fuzzed as a whole: of some 10 KB the fuzzer would change numbers, and spend its time on making them shorter.
func FuzzTensors(f *testing.F) {
	all := modules(f)
	names := slices.Sorted(maps.Keys(all))
	data := make([][]byte, len(names))
	for i, name := range names {
		file, err := os.ReadFile("testdata/modules/" + name + ".safetensors")
		if err != nil {
			f.Fatal(err)
		}
		n := 8 + binary.LittleEndian.Uint64(file)
		data[i] = file[n:]
		f.Add(uint(i), file[8:n], []byte(all[name].Config), uint(0), []byte(nil))
	}
	f.Fuzz(func(t *testing.T, i uint, header, config []byte, at uint, change []byte) {
		tensors := slices.Clone(data[i%uint(len(data))])
		for j, b := range change {
			tensors[(at%uint(len(tensors))+uint(j))%uint(len(tensors))] ^= b
		}
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(path, append(file, tensors...), 0o644); err != nil {
			t.Fatal(err)
		}
		named(t, openAll(path, string(config)))
	})
}
