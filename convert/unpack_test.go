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
