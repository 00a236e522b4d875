// Package lmtest gives tests converted models, their goldens and texts.
package lmtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"qpt/convert"
	"qpt/convert/safetensors"
	"qpt/internal/cpu"
	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/tokenizer"
)

// converted holds a .qpt file for each checkpoint and scheme, made when first asked for.
var converted struct {
	sync.Mutex
	dir string
}

// Main is TestMain of a package that opens models: it removes them at the end.
func Main(m *testing.M) {
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

// Convert returns the path of a checkpoint converted to a scheme: one of
// linear.Schemes, with an int4 group after a colon, or "torchao".
func Convert(checkpoint, scheme string) (string, error) {
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
		opt.Calib, opt.CalibSamples, opt.Preset = filepath.Join(Root, "testdata/text/tinystories_calib.jsonl"), 4, "fast"
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

func Open(t testing.TB, checkpoint, scheme string, opt runtime.Options) *lm.Model {
	t.Helper()
	path, err := Convert(checkpoint, scheme)
	if err != nil {
		t.Fatal(err)
	}
	m, err := lm.Load(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// Root is the repository's folder.
var Root = func() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	panic("lmtest: no go.mod above the working directory")
}()

// Checkpoint is the bundled trained model's folder.
var Checkpoint = filepath.Join(Root, "testdata/stories260K")

// Load opens the bundled model with two threads.
func Load(t testing.TB, scheme string) *lm.Model {
	t.Helper()
	return Open(t, Checkpoint, scheme, runtime.Options{Threads: 2})
}

// Windowed writes the bundled model with a window of that many positions in every layer (as a Mistral, which is a Llama otherwise) and returns its folder.
func Windowed(t testing.TB, window int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), fmt.Sprint("stories260K-window", window))
	err := os.CopyFS(dir, os.DirFS(Checkpoint))
	var config map[string]any
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(filepath.Join(dir, "config.json")); err == nil {
			err = json.Unmarshal(data, &config)
		}
	}
	if err == nil {
		config["model_type"], config["architectures"], config["sliding_window"] = "mistral", []string{"MistralForCausalLM"}, window
		for _, key := range []string{"attention_bias", "mlp_bias", "pretraining_tp"} {
			delete(config, key)
		}
		var data []byte
		if data, err = json.Marshal(config); err == nil {
			err = os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Slow says that there is not the time for much: with -short, or in plain Go or AVX2.
func Slow() bool { return testing.Short() || cpu.Active() < cpu.AVX512 }

// Shared returns the folder of a model that is not bundled.
func Shared(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(Root, "../shared/models", name)
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		t.Skipf("the shared model %s is not here", name)
	}
	return dir
}

// Golden is a file of golden tensors.
type Golden struct{ *safetensors.Checkpoint }

func OpenGolden(t testing.TB, path ...string) Golden {
	t.Helper()
	c, err := safetensors.Open(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return Golden{c}
}

func (g Golden) Has(name string) bool { _, ok := g.Tensor(name); return ok }

func (g Golden) Floats(t testing.TB, name string) []float32 {
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
func (g Golden) Ints(t testing.TB, name string) (v []int32) {
	t.Helper()
	for _, x := range g.Floats(t, name) {
		v = append(v, int32(x))
	}
	return v
}

// Prompts returns the golden prompts of a checkpoint: ids, logits at every position, greedy continuation, its margins.
func Prompts(t testing.TB, checkpoint string) (list []Prompt) {
	t.Helper()
	g := OpenGolden(t, checkpoint, "golden", "prompts_golden.safetensors")
	for i := 0; g.Has(fmt.Sprintf("prompt%d.ids", i)); i++ {
		p := fmt.Sprintf("prompt%d.", i)
		list = append(list, Prompt{g.Ints(t, p+"ids"), g.Ints(t, p+"greedy"), g.Floats(t, p+"logits"), g.Floats(t, p+"greedy_margin")})
	}
	return list
}

// Prompt is a golden prompt and its greedy continuation.
type Prompt struct {
	IDs, Greedy     []int32
	Logits, Margins []float32
}

// Encode is tok.Encode that must not fail.
func Encode(t testing.TB, tok *tokenizer.Tokenizer, text string, special bool) []int32 {
	t.Helper()
	ids, err := tok.Encode(context.Background(), text, special)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// Documents tokenizes every line's text of the evaluation set alone.
func Documents(t testing.TB, tok *tokenizer.Tokenizer) (docs [][]int32) {
	t.Helper()
	f, err := os.Open(filepath.Join(Root, "testdata/text/tinystories_eval.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := json.NewDecoder(f); lines.More(); {
		var line struct{ Text string }
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, Encode(t, tok, line.Text, false))
	}
	return docs
}

// Same fails unless got and want are the same bits.
func Same(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}
