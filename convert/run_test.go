package convert_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"qpt/bench/synth"
	"qpt/convert"
	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/internal/outfile"
)

// copied is a copy of the small trained model, which a test may spoil.
func copied(t *testing.T) (dir string) {
	dir = filepath.Join(t.TempDir(), "stories260K")
	if err := os.CopyFS(dir, os.DirFS("../testdata/stories260K")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func meta(t *testing.T, path string) format.Meta {
	t.Helper()
	f, err := format.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := f.Meta()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The provenance is that of the bytes that were read, though another file has taken the checkpoint's name since; a
// checkpoint that is written to meanwhile gives an error and no file.
func TestProvenance(t *testing.T) {
	in := copied(t)
	weights := filepath.Join(in, "model.safetensors")
	before, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	want := calibrated(t, convert.Options{Scheme: "da8w8"})
	out := filepath.Join(t.TempDir(), "m.qpt")
	opt := convert.Options{In: in, Out: out, Scheme: "da8w8", References: -1}
	convertWhile := func(do func()) error {
		p, err := convert.MakePlan(opt)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		do()
		_, err = p.Run(t.Context(), convert.Hooks{})
		return err
	}
	changed := slices.Clone(before)
	changed[len(changed)-1] ^= 1

	if err := convertWhile(func() {
		if err := outfile.Write(weights, changed); err != nil {
			t.Fatal(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if got := meta(t, out).Sources; len(got) != 1 || got[0].SHA256 != fmt.Sprintf("%x", sha256.Sum256(before)) || got[0].Size != int64(len(before)) {
		t.Errorf("sources %v, want the SHA-256 of the replaced file", got)
	}
	a, _ := os.ReadFile(want)
	if b, _ := os.ReadFile(out); !bytes.Equal(a, b) {
		t.Error("the file differs from that of the checkpoint as it was opened")
	}

	if err := os.Remove(out); err != nil {
		t.Fatal(err)
	}
	err = convertWhile(func() {
		if err := os.WriteFile(weights, before, 0o644); err != nil { // in place
			t.Fatal(err)
		}
		os.Chtimes(weights, time.Time{}, time.Now().Add(time.Second)) // where clocks are coarse
	})
	if !errors.Is(err, safetensors.ErrChanged) {
		t.Errorf("written to meanwhile: %v", err)
	}
	if list, _ := os.ReadDir(filepath.Dir(out)); len(list) > 0 {
		t.Errorf("left: %v", list)
	}
}

// Two conversions onto one file exclude each other before they touch the calibrated layers of the other.
func TestBusy(t *testing.T) {
	out := filepath.Join(t.TempDir(), "m.qpt")
	f, err := outfile.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	p, err := convert.MakePlan(convert.Options{In: "../testdata/stories260K", Out: out, Scheme: "da8w4", Calib: "../testdata/text/tinystories_calib.jsonl", Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), convert.Hooks{}); !errors.Is(err, outfile.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if _, err := os.Stat(out + ".calibration"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("calibrated layers: %v", err)
	}
}

// The plan of an 8B shape, whose weights are a hole in a file, tells of a tenth of a gigabyte: the FP32 run's values, two
// buffers of packed rows.
func TestMemoryOf8B(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "8b")
	if err := synth.WriteHollow(dir, synth.Shapes["llama-3.1-8b"]); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "tokenizer.json")); err != nil { // it takes long to read
		t.Fatal(err)
	}
	memory := func(opt convert.Options) int64 {
		opt.In, opt.Out, opt.Scheme, opt.Threads = dir, filepath.Join(t.TempDir(), "m.qpt"), "da8w4", cmp.Or(opt.Threads, 2)
		p, err := convert.MakePlan(opt)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		return p.Memory() >> 20
	}
	plain := memory(convert.Options{})
	t.Logf("%d MiB", plain)
	if plain < 70 || plain > 130 {
		t.Errorf("%d MiB, want about 100", plain)
	}
	if more := memory(convert.Options{Threads: 16}); more <= plain-10 {
		t.Errorf("16 threads: %d MiB, 2 threads: %d MiB", more, plain)
	}
	if more := memory(convert.Options{Compress: true, Threads: 8}); more < plain+100 {
		t.Errorf("compressing on 8 threads: %d MiB, mapped form: %d MiB", more, plain)
	}
	const limit = 8 << 30
	if most := memory(convert.Options{Calib: "../testdata/text/tinystories_calib.jsonl", Mem: limit}); most < 3<<10 || most > limit>>20 {
		t.Errorf("calibrated: %d MiB", most)
	}
	_, err := convert.MakePlan(convert.Options{In: dir, Scheme: "da8w4", Mem: 60 << 20})
	if !errors.Is(err, convert.ErrUsage) || !strings.Contains(err.Error(), "MiB of working memory") {
		t.Errorf("a cap of 60 MiB: %v", err)
	}
}
