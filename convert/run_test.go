package convert_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

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
