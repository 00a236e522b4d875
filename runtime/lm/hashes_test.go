package lm_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"qpt/convert"
	"qpt/internal/cpu"
	"qpt/runtime"
	"qpt/runtime/lm"
)

var update = flag.Bool("update", false, "write testdata/hashes.txt anew for the ISA levels of this machine")

const hashFile = "testdata/hashes.txt"

// hashHead heads the file of hashes.
const hashHead = `# The first 16 bytes of SHA-256 of logits (float32, little endian, all positions), by TestHashes:
# ISA level, checkpoint, scheme, storage of keys and values, hash. Any number of threads and any
# batch must give these bits (numerics N7). A line changes only together with the float operation
# that its commit names. "go test ./runtime/lm -run TestHashes -update" writes the lines of the
# levels that the machine has and keeps the others.
`

// hashed are the checkpoints and how many tokens each gets: several blocks of
// keys, a page of 128 positions and a bit more; dynamic RoPE beyond its range of 16.
var hashed = []struct {
	name   string
	tokens int
}{
	{"stories260K", 150},
	{"llama-variants/llama3-bias-untied", 40},
	{"llama-variants/dynamic-tied", 25},
	{"llama-variants/linear-mha", 40},
}

var hashedSchemes = []string{"f32", "bf16", "da8w8", "da8w6", "da8w4", "a16w8", "a16w6", "a16w4", "s8s8", "torchao"}

// TestHashes: the logits are the bits of the version that wrote testdata/hashes.txt,
// for every scheme, storage of keys and values, number of threads, batch, and ISA level of the machine.
func TestHashes(t *testing.T) {
	if goruntime.GOARCH != "amd64" {
		t.Skip("the hashes are amd64's: other compilers fuse products and sums of plain Go code")
	}
	want, got := readHashes(t), map[string]string{}
	skipped := map[string]bool{}
	for isa := cpu.Generic; isa <= cpu.AMX; isa++ {
		if !cpu.Has(isa) {
			skipped[isa.String()] = true
		}
	}
	files := t.TempDir()
	for _, c := range hashed {
		for _, scheme := range hashedSchemes {
			if scheme == "s8s8" && c.name != "stories260K" {
				continue // needs a tokenizer to calibrate on a text
			}
			path := hashedFile(t, files, c.name, scheme)
			for isa := cpu.Generic; isa <= cpu.AMX; isa++ {
				if !cpu.Has(isa) || testing.Short() && isa != cpu.Active() {
					continue
				}
				for _, kv := range []string{"f32", "bf16", "int8"} {
					key := fmt.Sprintf("%s %s %s %s", isa, c.name, scheme, kv)
					got[key] = hashOf(t, key, path, isa, kv, c.tokens)
				}
			}
		}
	}
	if *update {
		maps.DeleteFunc(want, func(key, _ string) bool { isa, _, _ := strings.Cut(key, " "); return !skipped[isa] })
		maps.Copy(want, got)
		writeHashes(t, want)
	}
	missing := map[string]int{}
	for key, h := range got {
		isa, _, _ := strings.Cut(key, " ")
		switch want[key] {
		case h:
		case "":
			missing[isa]++
		default:
			t.Errorf("%s: hash %s, want %s", key, h, want[key])
		}
	}
	for isa, n := range missing {
		t.Logf("NOT COMPARED: %d hashes of %s are not in %s: run with -update on a commit that is known to be good, and commit the file", n, isa, hashFile)
	}
	for isa := range skipped {
		t.Logf("NOT RUN: the machine lacks %s", isa)
	}
	if len(want) == 0 {
		t.Errorf("%s holds no hash", hashFile)
	}
}

// hashOf runs a file at one level; threads and batches must not matter.
func hashOf(t *testing.T, key, path string, isa cpu.ISA, kv string, tokens int) (hash string) {
	t.Helper()
	defer cpu.SetMax(isa)()
	for _, o := range []runtime.Options{{Threads: 1}, {Threads: 2, Batch: 37}, {Threads: 2, Batch: 1}} {
		plain := isa == cpu.Generic || isa < cpu.AVX512 && strings.Contains(key, "torchao")
		if plain && o.Batch != 37 && tokens > 100 {
			continue // plain Go, a second each, for what the small models show as well
		}
		if o.Batch > 0 && strings.Contains(key, "dynamic") {
			o.Batch = 0 // RoPE depends on how long the sequence is in the end (N7)
		}
		o.KV = kv
		m, err := lm.Load(path, o)
		if err != nil {
			t.Fatal(err)
		}
		ids := hashedIDs(tokens, m.Vocab())
		logits, err := m.Forward(t.Context(), ids)
		m.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(logits) != len(ids)*m.Vocab() || slices.Max(logits) == slices.Min(logits) {
			t.Fatalf("%s: %d logits from %v to %v", key, len(logits), slices.Min(logits), slices.Max(logits))
		}
		h := sha256.New()
		for _, x := range logits {
			h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(x)))
		}
		sum := fmt.Sprintf("%x", h.Sum(nil)[:16])
		if hash == "" {
			hash = sum
		} else if hash != sum {
			t.Errorf("%s: %d threads, batch %d: hash %s, with one thread %s", key, o.Threads, o.Batch, sum, hash)
		}
	}
	return hash
}

// hashedIDs are n token ids below vocab, the first 1, by a linear congruence.
func hashedIDs(n int, vocab int) []int32 {
	ids, x := make([]int32, n), uint32(1)
	for i := range ids {
		ids[i] = int32(x>>8) % int32(vocab)
		x = x*1664525 + 1013904223
	}
	ids[0] = 1
	return ids
}

// hashedFile converts a checkpoint of testdata.
func hashedFile(t *testing.T, dir, name, scheme string) string {
	t.Helper()
	opt := convert.Options{
		In:         filepath.Join("../../testdata", name),
		Out:        filepath.Join(dir, filepath.Base(name)+"."+scheme+".qpt"),
		Scheme:     scheme,
		References: -1,
	}
	switch scheme {
	case "torchao":
		opt.Scheme, opt.Compat = "da8w4", scheme
	case "s8s8":
		opt.Calib, opt.CalibSamples, opt.Preset = "../../testdata/text/tinystories_calib.jsonl", 4, "fast"
	}
	p, err := convert.MakePlan(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err = p.Run(context.Background(), convert.Hooks{}); err != nil {
		t.Fatal(err)
	}
	return opt.Out
}

// readHashes returns hashes by "ISA checkpoint scheme kv".
func readHashes(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(hashFile)
	if err != nil && !(*update && os.IsNotExist(err)) {
		t.Fatal(err)
	}
	hashes := map[string]string{}
	for line := range bytes.Lines(b) {
		s := strings.TrimSpace(string(line))
		if i := strings.LastIndexByte(s, ' '); i >= 0 && s[0] != '#' {
			hashes[s[:i]] = s[i+1:]
		}
	}
	return hashes
}

func writeHashes(t *testing.T, hashes map[string]string) {
	t.Helper()
	b := bytes.NewBufferString(hashHead)
	for _, key := range slices.Sorted(maps.Keys(hashes)) {
		fmt.Fprintln(b, key, hashes[key])
	}
	if err := os.MkdirAll(filepath.Dir(hashFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hashFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
