package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	nlp "github.com/nlpodyssey/safetensors"

	"qpt/convert"
	"qpt/convert/safetensors"
	"qpt/format/graph"
	"qpt/runtime"
)

// TestRunGoldens: an f32 file gives the logits of the goldens (torch, float32) to
// 1e-5 of their largest, from a file to a file; so do rows padded on either side, whose padding is zeros.
func TestRunGoldens(t *testing.T) {
	for _, name := range []string{"stories260K", "babyllama-105"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("../../testdata", name)
			if _, err := os.Stat(dir); err != nil {
				dir = filepath.Join("../../../shared/models", name)
			}
			golden, err := safetensors.Open(filepath.Join(dir, "golden", "prompts_golden.safetensors"))
			if err != nil {
				t.Skipf("the shared model %s is not here", name)
			}
			defer golden.Close()
			r := &runOptions{options: &options{model: filepath.Join(t.TempDir(), "m.qpt"), tuning: "none"}, program: "main", hidden: true}
			makeFile(t, convert.Options{In: dir, Scheme: "f32", Out: r.model})
			var prompts [][]int32
			longest := 0
			for {
				ids, ok := golden.Tensor(fmt.Sprintf("prompt%d.ids", len(prompts)))
				if !ok {
					break
				}
				list, err := integers(ids)
				check(t, err)
				prompts, longest = append(prompts, list), max(longest, len(list))
			}
			batch := runtime.Tensor{Shape: []int{len(prompts), longest + 1}}
			mask := batch
			start := make([]int, len(prompts))
			for i, ids := range prompts {
				start[i] = i % 2 * (longest + 1 - len(ids)) // padded on the right, on the left
				row, there := make([]int32, longest+1), make([]int32, longest+1)
				copy(row[start[i]:], ids)
				for j := range ids {
					there[start[i]+j] = 1
				}
				batch.I, mask.I = append(batch.I, row...), append(mask.I, there...)
			}
			logits := func(in map[string]view) []float32 {
				t.Helper()
				r.input, r.output = filepath.Join(t.TempDir(), "in.safetensors"), filepath.Join(t.TempDir(), "out.safetensors")
				check(t, safetensors.WriteFile(r.input, in, nil))
				out, err := r.outputs(t.Context())
				check(t, err)
				if _, ok := out["hidden.1"]; !ok {
					t.Errorf("no hidden.1 among %d outputs", len(out))
				}
				check(t, safetensors.WriteFile(r.output, out, nil))
				back, err := safetensors.Open(r.output)
				check(t, err)
				defer back.Close()
				y, ok := back.Tensor("logits")
				if !ok {
					t.Fatalf("no logits in %v", back.Names())
				}
				v := make([]float32, y.NumElems())
				check(t, y.ReadRows(0, y.NumRows(), v))
				return v
			}
			together := logits(map[string]view{"input_ids": {batch}, "attention_mask": {mask}})
			for i, ids := range prompts {
				want, _ := golden.Tensor(fmt.Sprintf("prompt%d.logits", i))
				w := make([]float32, want.NumElems())
				check(t, want.ReadRows(0, want.NumRows(), w))
				alone := logits(map[string]view{"input_ids": {runtime.Tensor{Shape: []int{len(ids)}, I: ids}}})
				vocab := len(w) / len(ids)
				row := together[i*(longest+1)*vocab : (i+1)*(longest+1)*vocab]
				largest, far := 0.0, 0.0
				for j, x := range w {
					largest, far = max(largest, math.Abs(float64(x))), max(far, math.Abs(float64(x-alone[j])))
				}
				if !(far <= 1e-5*largest) {
					t.Errorf("prompt %d: logits differ by %g of up to %g", i, far, largest)
				}
				if !slices.Equal(row[start[i]*vocab:(start[i]+len(ids))*vocab], alone) {
					t.Errorf("prompt %d: other logits in a batch", i)
				}
				for j, x := range row {
					if p := j / vocab; (p < start[i] || p >= start[i]+len(ids)) && x != 0 {
						t.Fatalf("prompt %d: padding at %d gives %v", i, p, x)
					}
				}
			}
		})
	}
}

func TestIntegers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	specs := map[string]struct {
		dtype nlp.DType
		data  []byte
		want  string
	}{
		"a": {nlp.I64, binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "[-1]"},
		"b": {nlp.I64, binary.LittleEndian.AppendUint64(nil, 1<<31), "element 0 is 2147483648, beyond 32 bits"},
		"c": {nlp.I32, []byte{0xfe, 0xff, 0xff, 0xff}, "[-2]"},
		"d": {nlp.U32, []byte{0xfe, 0xff, 0xff, 0xff}, "beyond 32 bits"},
		"e": {nlp.I16, []byte{0xfd, 0xff}, "[-3]"},
		"f": {nlp.U16, []byte{0xff, 0xff}, "[65535]"},
		"g": {nlp.I8, []byte{0xff}, "[-1]"},
		"h": {nlp.U8, []byte{0xff}, "[255]"},
		"i": {nlp.BOOL, []byte{1}, "[1]"},
		"j": {nlp.F32, []byte{0, 0, 0, 0}, "F32, where the program takes whole numbers"},
	}
	views := map[string]nlp.TensorView{}
	for name, s := range specs {
		var err error
		views[name], err = nlp.NewTensorView(s.dtype, []uint64{1}, s.data)
		check(t, err)
	}
	check(t, safetensors.WriteFile(path, views, nil))
	f, err := safetensors.Open(path)
	check(t, err)
	defer f.Close()
	for name, s := range specs {
		tensor, _ := f.Tensor(name)
		got, err := integers(tensor)
		if text := fmt.Sprint(got, err); !strings.Contains(text, s.want) {
			t.Errorf("%v: %s, want %s", s.dtype, text, s.want)
		}
	}
}

// TestReadTensors: what is wrong with the inputs of a network on tensors is told by name.
func TestReadTensors(t *testing.T) {
	b := graph.NewBuilder()
	b.Output("y", b.Node("y", graph.Unary{Func: "relu"}, []string{b.Input("input.0", graph.Float, b.Symbol("B"), 2)}))
	g, err := b.Graph()
	check(t, err)
	path := filepath.Join(t.TempDir(), "in.safetensors")
	nan := binary.LittleEndian.AppendUint32(make([]byte, 12), math.Float32bits(float32(math.NaN())))
	for _, c := range []struct {
		name  string
		shape []uint64
		data  []byte
		want  string
	}{
		{"input.0", []uint64{2, 2}, nan, `"input.0": value 1 of row 1 is NaN`},
		{"input.0", []uint64{0, 2}, nil, `"input.0" [0 2] is empty`},
		{"image", []uint64{2, 2}, make([]byte, 16), `a tensor "image", the program takes "input.0" [B, 2]`},
		{"input.0", []uint64{2, 2}, make([]byte, 16), "map[input.0:"},
	} {
		v, err := nlp.NewTensorView(nlp.F32, c.shape, c.data)
		check(t, err)
		check(t, safetensors.WriteFile(path, map[string]nlp.TensorView{c.name: v}, nil))
		in, err := readTensors(path, g)
		if text := fmt.Sprint(in, err); !strings.Contains(text, c.want) {
			t.Errorf("%s, want %s", text, c.want)
		}
	}
}
