package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"qpt/convert"
	"qpt/convert/safetensors"
	"qpt/internal/cpu"
	"qpt/runtime"
	"qpt/runtime/lm/tokenizer"
)

// converted holds a .qpt file for each checkpoint and scheme, made when first asked for.
var converted struct {
	sync.Mutex
	dir string
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "qpt-runtime-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	converted.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// convertTo returns the path of a checkpoint converted to a scheme: one of
// kernels.Schemes, with an int4 group after a colon, or "torchao".
func convertTo(checkpoint, scheme string) (string, error) {
	converted.Lock()
	defer converted.Unlock()
	out := filepath.Join(converted.dir, filepath.Base(checkpoint)+"."+strings.ReplaceAll(scheme, ":", "g")+".qpt")
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	opt := convert.Options{In: checkpoint, Out: out, Scheme: scheme}
	if name, group, ok := strings.Cut(scheme, ":"); ok {
		opt.Scheme = name
		fmt.Sscan(group, &opt.Group)
	}
	if scheme == "s8s8" {
		opt.Calib, opt.CalibSamples, opt.Preset = "../testdata/text/tinystories_calib.jsonl", 4, "fast"
	}
	if scheme == "torchao" {
		opt.Scheme, opt.Compat = "da8w4", scheme
	}
	p, err := convert.MakePlan(opt)
	if err != nil {
		return "", err
	}
	defer p.Close()
	_, err = p.Run(context.Background(), convert.Hooks{})
	return out, err
}

func open(t testing.TB, checkpoint, scheme string, opt runtime.Options) *runtime.Model {
	t.Helper()
	path, err := convertTo(checkpoint, scheme)
	if err != nil {
		t.Fatal(err)
	}
	m, err := runtime.Load(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

const checkpoint = "../testdata/stories260K"

// load opens the bundled model with two threads.
func load(t testing.TB, scheme string) *runtime.Model {
	t.Helper()
	return open(t, checkpoint, scheme, runtime.Options{Threads: 2})
}

// slow says that there is not the time for much: with -short, or in plain Go or AVX2.
func slow() bool { return testing.Short() || cpu.Active() < cpu.AVX512 }

// shared returns the folder of a model that is not bundled.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join("../../shared/models", name)
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		t.Skipf("the shared model %s is not here", name)
	}
	return dir
}

// golden is a file of golden tensors.
type golden struct{ *safetensors.Checkpoint }

func openGolden(t testing.TB, path ...string) golden {
	t.Helper()
	c, err := safetensors.Open(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return golden{c}
}

func (g golden) has(name string) bool { _, ok := g.Tensor(name); return ok }

func (g golden) floats(t testing.TB, name string) []float32 {
	t.Helper()
	e, ok := g.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %q", name)
	}
	v := make([]float32, e.NumElems())
	if err := e.ReadRows(0, e.NumRows(), v); err != nil {
		t.Fatal(err)
	}
	return v
}

// ints reads token ids, which a float32 holds exactly.
func (g golden) ints(t testing.TB, name string) (v []int32) {
	t.Helper()
	for _, x := range g.floats(t, name) {
		v = append(v, int32(x))
	}
	return v
}

// prompts returns the golden prompts of a checkpoint: ids, logits at every position, greedy continuation, its margins.
func prompts(t testing.TB, checkpoint string) (list []prompt) {
	t.Helper()
	g := openGolden(t, checkpoint, "golden", "prompts_golden.safetensors")
	for i := 0; g.has(fmt.Sprintf("prompt%d.ids", i)); i++ {
		p := fmt.Sprintf("prompt%d.", i)
		list = append(list, prompt{g.ints(t, p+"ids"), g.ints(t, p+"greedy"), g.floats(t, p+"logits"), g.floats(t, p+"greedy_margin")})
	}
	return list
}

type prompt struct {
	ids, greedy     []int32
	logits, margins []float32
}

// documents tokenizes every line's text of the evaluation set alone.
func documents(t testing.TB, tok *tokenizer.Tokenizer) (docs [][]int32) {
	t.Helper()
	f, err := os.Open("../testdata/text/tinystories_eval.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := json.NewDecoder(f); lines.More(); {
		var line struct{ Text string }
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, tok.EncodePlain(line.Text, false))
	}
	return docs
}
