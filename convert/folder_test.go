package convert

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/runtime"
	"qpt/runtime/lm"
)

// TestNames: a checkpoint without the prefix of its tensors' names, as a cache of
// the hub holds it, becomes the same file as the usual one, under the repository's name.
func TestNames(t *testing.T) {
	const stories = "../testdata/stories260K"
	c, err := safetensors.Open(stories)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	repo := filepath.Join(t.TempDir(), "models--acme--tiny")
	dir := filepath.Join(repo, "snapshots", strings.Repeat("ab", 20))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"} {
		data, err := os.ReadFile(filepath.Join(stories, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var specs []safetensors.Spec
	for _, name := range c.Names() {
		x, _ := c.Tensor(name)
		specs = append(specs, safetensors.Spec{Name: strings.TrimPrefix(name, "model."), DType: x.DType, Shape: x.Shape})
	}
	err = safetensors.WriteSharded(dir, 1, specs, nil, func(s safetensors.Spec, w io.Writer) error {
		x, _ := c.Tensor("model." + s.Name)
		data, err := x.Bytes()
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	usual, err := filepath.Abs(stories)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	made := func(in, out string) (list []format.Tensor, logits []float32) {
		t.Helper()
		p, err := MakePlan(Options{In: in, Scheme: "da8w4", References: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if p.Opt.Out != out {
			t.Errorf("%s becomes %s, want %s", in, p.Opt.Out, out)
		}
		if _, err := p.Run(context.Background(), Hooks{}); err != nil {
			t.Fatal(err)
		}
		m, err := lm.Load(out, runtime.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if list, err = m.File.Tensors(); err != nil {
			t.Fatal(err)
		}
		if logits, err = m.Forward(t.Context(), []int32{1, 403, 407}); err != nil {
			t.Fatal(err)
		}
		return list, logits
	}
	want, wantLogits := made(usual, "stories260K.da8w4.qpt")
	got, logits := made(repo, "tiny.da8w4.qpt")
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(logits, wantLogits) {
		t.Error("the files differ")
	}
}
