package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"qpt/bench/cmdtest"
	"qpt/convert"
	"qpt/convert/safetensors"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"qrun": main}) }

// The command's behaviour is told in testdata/script. M is a folder with the
// bundled model in several forms, STORIES its checkpoint, and docs.jsonl and
// stream.txt begin like the evaluation text: DOC0 to DOC2 and STREAM0 are the
// summed NLL of their first windows in the goldens (torch, float32).
func TestScripts(t *testing.T) {
	stories, err := filepath.Abs("../../testdata/stories260K")
	check(t, err)
	dir := t.TempDir()
	bare := filepath.Join(dir, "bare")
	check(t, os.Mkdir(bare, 0o755))
	for _, name := range []string{"config.json", "model.safetensors"} {
		check(t, os.Symlink(filepath.Join(stories, name), filepath.Join(bare, name)))
	}
	for name, opt := range map[string]convert.Options{
		"f32":      {In: stories, Scheme: "f32"},
		"da8w4":    {In: stories, Scheme: "da8w4"},
		"sent":     {In: stories, Scheme: "da8w4", Compress: true},
		"norefs":   {In: stories, Scheme: "da8w8", References: -1},
		"notok":    {In: bare, Scheme: "da8w8"},
		"sentence": {In: "../../testdata/families/bert-sentence", Scheme: "da8w8"},
		"classes":  {In: "../../testdata/families/bert", Scheme: "da8w8"},
		"features": {In: "../../testdata/classifiers/dinov2-bare", Scheme: "f32"},
		"pictures": {In: "../../testdata/classifiers/vit", Scheme: "da8w8"},
		"tensors":  {In: "../../testdata/export/residual.pt2", Scheme: "f32"},
		"int8":     {In: "../../testdata/export/branches.pt2", Scheme: "s8s8", Calib: "../../testdata/export/branches.golden.safetensors"},
		"static":   {In: stories, Scheme: "s8s8", Calib: "../../testdata/text/tinystories_calib.jsonl", CalibSamples: 2, CalibLength: 32},
		"turned":   {In: stories, Scheme: "da8w4", Algorithms: "rotate,gptq,bias", Calib: "../../testdata/text/tinystories_calib.jsonl", CalibSamples: 2, CalibLength: 32},
	} {
		opt.Out = filepath.Join(dir, name+".qpt")
		makeFile(t, opt)
	}
	env := map[string]string{"M": dir, "STORIES": stories, "FAMILIES": filepath.Join(stories, "../families")}
	check(t, os.CopyFS(filepath.Join(dir, "album"), os.DirFS("../../testdata/pictures")))

	text := filepath.Join("..", "..", "testdata", "text", "tinystories_eval")
	for from, to := range map[string]string{text + ".jsonl": "docs.jsonl", text + ".txt": "stream.txt"} {
		data, err := os.ReadFile(from)
		check(t, err)
		lines := bytes.SplitAfter(data, []byte("\n"))
		n := 3 // documents
		if to == "stream.txt" {
			n = 5 // lines, more than 511 tokens
		}
		check(t, os.WriteFile(filepath.Join(dir, to), bytes.Join(lines[:n], nil), 0o644))
	}
	golden, err := safetensors.Open(filepath.Join(stories, "golden", "perplexity_golden.safetensors"))
	check(t, err)
	defer golden.Close()
	for name, n := range map[string]int{"docs": 3, "stream": 1} {
		nll := make([]float32, n)
		tensor, ok := golden.Tensor("tinystories_eval." + name + ".window_nll")
		if !ok {
			t.Fatalf("no golden for %s", name)
		}
		check(t, tensor.ReadRows(0, n, nll))
		for i, x := range nll {
			env[fmt.Sprintf("%s%d", map[string]string{"docs": "DOC", "stream": "STREAM"}[name], i)] = fmt.Sprint(x)
		}
	}
	cmdtest.Run(t, env)
}

// makeFile converts a checkpoint.
func makeFile(t *testing.T, opt convert.Options) {
	t.Helper()
	plan, err := convert.MakePlan(opt)
	check(t, err)
	_, err = plan.Run(t.Context(), convert.Hooks{})
	check(t, err)
	check(t, plan.Close())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
