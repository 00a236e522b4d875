package gguf

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"testing"

	"qpt/convert/hf"
)

// ones32 reads as float32 numbers of 1.
type ones32 struct{}

func (ones32) ReadAt(p []byte, off int64) (int, error) {
	one := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1))
	for i := range p {
		p[i] = one[(off+int64(i))%4]
	}
	return len(p), nil
}

// TestArchs: of what llama.cpp's converter makes of a tiny model of each architecture (testdata/gen/archs.py) every key is known, the config is one that converts, and
// the tensors are those of the HuggingFace model, by name and size.
func TestArchs(t *testing.T) {
	data, err := os.ReadFile("testdata/archs.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name          string
		Keys          map[string][]json.RawMessage // type, value, type of elements
		Tensors, Want map[string][]int
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	left := maps.Clone(archs)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			f := &file{path: c.Name + ".gguf", in: ones32{}, size: 1 << 40, keys: map[string]value{}}
			for key, parts := range c.Keys {
				f.keys[key] = keyValue(t, parts)
				f.order = append(f.order, key)
			}
			list := map[string]*region{}
			for name, shape := range c.Tensors {
				size := int64(4)
				for _, n := range shape {
					size *= int64(n)
				}
				list[name] = &region{name: name, shape: shape, kind: kinds[0], in: f, size: size}
			}
			arch := f.keys["general.architecture"].text
			m := &model{File: &File{}, meta: &meta{arch: arch, keys: f.keys, order: f.order, read: map[string]bool{}}, arch: archs[arch]}
			delete(left, arch)
			if err := m.config(list); err != nil {
				t.Fatal(err)
			}
			if err := m.names(list); err != nil {
				t.Fatal(err)
			}
			if _, err := hf.Parse(m.Config, nil); err != nil {
				t.Fatalf("%v\n%s", err, m.Config)
			}
			have := map[string][]int{}
			for _, x := range m.tensors {
				have[x.Name] = x.Shape
			}
			if a, b := slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(c.Want)); !slices.Equal(a, b) {
				t.Fatalf("tensors %q\nmust be %q", a, b)
			}
			for name, want := range c.Want {
				// The file may have a matrix the other way round.
				if a, b := slices.Sorted(slices.Values(have[name])), slices.Sorted(slices.Values(want)); !slices.Equal(a, b) {
					t.Errorf("%s has shape %v, must be %v", name, have[name], want)
				}
			}
		})
	}
	for _, arch := range []string{"gemma3", "gemma-embedding", "nemotron", "bert", "nomic-bert", "modern-bert", // the converter wants their tokenizers
		"arcee", "ernie4_5", "hunyuan-dense", "seed_oss", "starcoder", "dots1", "glm4moe", "deepseek2"} { // files of testdata/gen/gguf_arch.py: TestArchitectures of package checkpoint
		delete(left, arch)
	}
	if len(left) > 0 {
		t.Errorf("no model of %q", slices.Sorted(maps.Keys(left)))
	}
}

// keyValue is a metadata value as JSON has it.
func keyValue(t *testing.T, parts []json.RawMessage) (v value) {
	read := func(raw json.RawMessage, to any) {
		if err := json.Unmarshal(raw, to); err != nil {
			t.Fatal(err)
		}
	}
	number := func(kind uint32, raw json.RawMessage) (bits uint64) {
		switch kind {
		case kF32, kF64:
			var x float64
			read(raw, &x)
			return math.Float64bits(x)
		case kBool:
			if string(raw) == "true" {
				return 1
			}
			return 0
		}
		var x int64
		read(raw, &x)
		return uint64(x)
	}
	switch read(parts[0], &v.kind); v.kind {
	case kString:
		read(parts[1], &v.text)
	case kArray:
		var list []json.RawMessage
		read(parts[1], &list)
		read(parts[2], &v.elem)
		for _, x := range list {
			v.numbers = append(v.numbers, number(v.elem, x))
		}
	default:
		v.bits = number(v.kind, parts[1])
	}
	return v
}
