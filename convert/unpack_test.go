package convert

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/checkpoint"
	"qpt/convert/safetensors"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

func dump(f *checkpoint.Folder) string {
	var b strings.Builder
	f.Model.Graph.Dump(&b)
	return b.String()
}

// A GGUF file, unpacked, is a HuggingFace checkpoint with the same weights, the same graph and the same tokenizer.
func TestUnpack(t *testing.T) {
	src := imports + "llama-q4_0.gguf"
	dir := filepath.Join(t.TempDir(), "plain")
	if err := Unpack(context.Background(), src, dir, safetensors.F32); err != nil {
		t.Fatal(err)
	}
	a, err := checkpoint.Open(src)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Stored() || dump(a) != dump(b) || a.Model.BOS != b.Model.BOS || !slices.Equal(a.Model.EOS, b.Model.EOS) {
		t.Error("another model")
	}
	for _, name := range a.Tensors.Names() {
		x, _ := a.Tensors.Tensor(name)
		y, ok := b.Tensors.Tensor(name)
		if !ok || !slices.Equal(x.Shape, y.Shape) {
			t.Fatalf("%s is missing or of another shape", name)
		}
		v, w := make([]float32, x.Values()), make([]float32, x.Values())
		if err := errors.Join(x.ReadPart(0, v), y.ReadPart(0, w)); err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(v, w, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
			t.Errorf("%s differs", name)
		}
	}
	text := "Once upon a time, Tom & Lily \n saw 3 birds."
	x, err := a.Tokenizer.Encode(context.Background(), text, true)
	y, err2 := b.Tokenizer.Encode(context.Background(), text, true)
	if err != nil || err2 != nil || !slices.Equal(x, y) || len(x) == 0 {
		t.Errorf("ids %v and %v (%v, %v)", x, y, err, err2)
	}
	if err := Unpack(context.Background(), src, dir, safetensors.BF16); !errors.Is(err, ErrUsage) {
		t.Errorf("onto a folder with files: %v", err)
	}
	if err := Unpack(context.Background(), src, filepath.Join(t.TempDir(), "bf16"), safetensors.BF16); err != nil {
		t.Error(err)
	}
}

// Folders of other tools, and files whose matrices lie the other way round than the model's own, unpacked, give the logits of what they were.
func TestUnpackFolders(t *testing.T) {
	dirs, err := filepath.Glob("quantized/testdata/whole/*")
	if err != nil || len(dirs) < 6 {
		t.Fatal(dirs, err)
	}
	for _, src := range append(dirs, imports+"arch/gpt2.gguf", imports+"arch/gpt_oss.gguf") {
		dir := filepath.Join(t.TempDir(), "plain")
		if err := Unpack(context.Background(), src, dir, safetensors.F32); err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		logits := func(path string) []float32 {
			f, err := checkpoint.Open(path)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			defer f.Close()
			if path == dir && f.Stored() {
				t.Errorf("%s: what is unpacked still counts as quantized", src)
			}
			g := f.Model.Graph
			out, err := ref.Run(context.Background(), g, graph.Views(g, f.Tensors), ref.Texts(g, ref.Seq{IDs: []int32{1, 5, 9, 13, 2}}), ref.Options{Dot: linear.MatMul()})
			if err != nil {
				t.Fatal(err)
			}
			return out[slices.Index(g.Outputs, "logits")].F
		}
		if !slices.Equal(logits(src), logits(dir)) {
			t.Errorf("%s: other logits", src)
		}
	}
}
