package gguf

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/hf"
)

// A model in several files is opened by any of them; a file that is missing or another one is named.
func TestSplit(t *testing.T) {
	dir := t.TempDir()
	write := func(i, no, count int) string {
		w := begin(3, 1, 2).put("split.no", uint32(kU16), uint16(no), "split.count", uint32(kU16), uint16(count))
		w.put(fmt.Sprintf("t%d", i), uint32(1), uint64(8), uint32(0), uint64(0))
		path := filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", i))
		if err := os.WriteFile(path, w.padded(256), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(1, 0, 3)
	second := write(2, 1, 3)
	if _, err := openAll(second); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "file 3 of the 3") {
		t.Errorf("a file is missing: %v", err)
	}
	write(3, 2, 3)
	files, err := openAll(second)
	if err != nil || len(files) != 3 || files[0].blocks[0].name != "t1" || files[2].blocks[0].name != "t3" {
		t.Errorf("%d files: %v", len(files), err)
	}
	for _, f := range files {
		f.disk.Close()
	}
	write(3, 1, 3)
	if _, err := openAll(second); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "number 1 of 3, must be 2 of 3") {
		t.Errorf("another file: %v", err)
	}
	other := filepath.Join(dir, "other.gguf")
	if err := os.Rename(second, other); err != nil {
		t.Fatal(err)
	}
	if _, err := openAll(other); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "one of 3 files") {
		t.Errorf("another name: %v", err)
	}
}

// Llama 3.1's scaled frequencies are divisors in a tensor, and become frequencies.
func TestRopeFreqs(t *testing.T) {
	divisors := []float32{1, 1.5, 4, 8}
	var data []byte
	for _, x := range divisors {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	f := &file{path: "x.gguf", in: bytes.NewReader(data), size: 16}
	m := &model{File: &File{}, meta: &meta{arch: "llama", read: map[string]bool{}}}
	c := config{"model_type": "llama", "max_position_embeddings": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 8, "vocab_size": 9, "rope_theta": 500}
	m.ropeScaling(c, map[string]*region{"rope_freqs.weight": {name: "rope_freqs.weight", shape: []int{4}, kind: kinds[0], in: f, size: 16}})
	if m.meta.err != nil {
		t.Fatal(m.meta.err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	model, err := hf.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	dump := new(strings.Builder)
	model.Graph.Dump(dump)
	graph, err := json.Marshal(model.Graph)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range divisors {
		want := fmt.Sprint(float64(float32(math.Pow(500, -float64(2*i)/8) / float64(d))))
		if !strings.Contains(string(graph), want) {
			t.Errorf("frequency %d, %s, is not in the graph: %s", i, want, dump)
		}
	}
	if strings.Contains(string(graph), `"long"`) {
		t.Error("two lists of frequencies, must be one")
	}
}

// Factors of longrope come from their tensors, whatever the keys say; without them there are no frequencies. Whole floats are floats in config.json.
func TestLongRope(t *testing.T) {
	vector := func(name string, values ...float32) *region {
		var data []byte
		for _, x := range values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
		}
		f := &file{path: "x.gguf", in: bytes.NewReader(data), size: int64(len(data))}
		return &region{name: name, shape: []int{len(values)}, kind: kinds[0], in: f, size: f.size}
	}
	read := func(list map[string]*region) (string, error) {
		m := &model{File: &File{}, meta: &meta{arch: "llama", read: map[string]bool{}, keys: map[string]value{"llama.rope.scaling.type": {kind: kString, text: "longrope"}}}}
		c := config{"max_position_embeddings": 64, "rope_theta": 500.0}
		m.ropeScaling(c, list)
		text, err := json.Marshal(c.reals())
		if err != nil {
			t.Fatal(err)
		}
		return string(text), m.meta.err
	}
	const want = `{"max_position_embeddings":64,"original_max_position_embeddings":64,"rope_scaling":{"attention_factor":1.0,"long_factor":[2,4],"original_max_position_embeddings":64,"rope_type":"longrope","short_factor":[1,1.5]},"rope_theta":500.0}`
	got, err := read(map[string]*region{"rope_factors_short.weight": vector("rope_factors_short.weight", 1, 1.5), "rope_factors_long.weight": vector("rope_factors_long.weight", 2, 4)})
	if err != nil || got != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if _, err := read(nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("longrope without factors: %v", err)
	}
}

// TestAlignment: data may begin and tensors may lie at any multiple of a power of two, 1 too, in any order.
func TestAlignment(t *testing.T) {
	for _, align := range []int{1, 2, 4, 64} {
		w := begin(3, 2, 1).put("general.alignment", uint32(kU32), uint32(align))
		second := (12 + align - 1) / align * align
		w.put("b", uint32(1), uint64(3), uint32(0), uint64(second)).put("a", uint32(1), uint64(3), uint32(0), uint64(0))
		w.Write(make([]byte, (align-w.Len()%align)%align))
		w.put(float32(1), float32(2), float32(3))
		w.Write(make([]byte, second-12))
		w.put(float32(4), float32(5), float32(6))
		f, err := newFile("f", bytes.NewReader(w.Bytes()), int64(w.Len()))
		if err != nil {
			t.Fatalf("alignment %d: %v", align, err)
		}
		for i, want := range [][]float32{{4, 5, 6}, {1, 2, 3}} {
			have, r := make([]float32, 3), f.blocks[i]
			if err := r.tensor(r.name, r.shape, 0, nil).ReadPart(0, have); err != nil || !slices.Equal(have, want) {
				t.Errorf("alignment %d: %s is %v, want %v (%v)", align, r.name, have, want, err)
			}
		}
	}
}
