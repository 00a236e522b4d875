package quantized

import (
	"errors"
	"os"
	"path/filepath"
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

// FuzzTensors: any file under any of the configs opens and reads, or ends in an error of ours.
func FuzzTensors(f *testing.F) {
	all := modules(f)
	for name, m := range all {
		data, err := os.ReadFile("testdata/modules/" + name + ".safetensors")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, []byte(m.Config))
	}
	f.Fuzz(func(t *testing.T, file, config []byte) {
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		named(t, openAll(path, string(config)))
	})
}
