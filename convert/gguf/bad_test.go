package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"qpt/convert/hf"
	"qpt/convert/stored"
	"qpt/runtime/lm/tokenizer"
)

// writer makes headers, good and bad.
type writer struct{ bytes.Buffer }

func (w *writer) put(values ...any) *writer {
	for _, v := range values {
		if s, ok := v.(string); ok {
			binary.Write(w, binary.LittleEndian, uint64(len(s)))
			w.WriteString(s)
			continue
		}
		binary.Write(w, binary.LittleEndian, v)
	}
	return w
}

// begin is the fixed part of a header.
func begin(version uint32, tensors, keys uint64) *writer {
	w := &writer{}
	w.WriteString("GGUF")
	return w.put(version, tensors, keys)
}

// padded has zeros up to n bytes.
func (w *writer) padded(n int) []byte { return append(w.Bytes(), make([]byte, max(0, n-w.Len()))...) }

// Each way of being wrong has its error, and costs no memory.
func TestBad(t *testing.T) {
	const u32, f32, str, arr = uint32(kU32), uint32(kF32), uint32(kString), uint32(kArray)
	tensor := func(w *writer, name string, kind uint32, off uint64, dims ...uint64) *writer {
		w.put(name, uint32(len(dims)))
		for _, d := range dims {
			w.put(d)
		}
		return w.put(kind, off)
	}
	for name, c := range map[string]struct {
		data []byte
		is   error
		want string
	}{
		"empty":                {nil, ErrCorrupt, "it ends at byte 0"},
		"another magic":        {[]byte("GGML....................."), ErrCorrupt, "must be GGUF"},
		"version 1":            {begin(1, 0, 0).Bytes(), ErrUnsupported, "version 1"},
		"big-endian":           {begin(3<<24, 0, 0).Bytes(), ErrUnsupported, "big-endian"},
		"tensors":              {begin(3, 1<<40, 0).Bytes(), ErrCorrupt, "1099511627776 tensors"},
		"keys":                 {begin(3, 0, 1<<63).Bytes(), ErrCorrupt, "9223372036854775808 keys"},
		"truncated":            {begin(3, 0, 1).Bytes(), ErrCorrupt, "within its header"},
		"a name of 4 GB":       {begin(3, 0, 1).put(uint64(4 << 30)).padded(200), ErrCorrupt, "4294967296 bytes"},
		"a text of 2^64":       {begin(3, 0, 1).put("k", str, ^uint64(0)).padded(200), ErrCorrupt, "the text of key \"k\""},
		"type of a key":        {begin(3, 0, 1).put("k", uint32(13)).padded(200), ErrCorrupt, "type 13"},
		"array of arrays":      {begin(3, 0, 1).put("k", arr, arr, uint64(1)).padded(200), ErrCorrupt, "an array of type 9"},
		"array of 2^60":        {begin(3, 0, 1).put("k", arr, f32, uint64(1<<60)).padded(200), ErrCorrupt, "1152921504606846976 elements"},
		"bool":                 {begin(3, 0, 1).put("k", uint32(kBool), uint8(7)).padded(200), ErrCorrupt, "a bool is 7"},
		"key twice":            {begin(3, 0, 2).put("k", u32, uint32(1), "k", u32, uint32(1)).padded(200), ErrCorrupt, "there twice"},
		"alignment":            {begin(3, 0, 1).put("general.alignment", u32, uint32(24)).padded(200), ErrCorrupt, "power of two"},
		"no dimensions":        {tensor(begin(3, 1, 0), "x", 0, 0).padded(200), ErrCorrupt, "0 dimensions"},
		"dimension 0":          {tensor(begin(3, 1, 0), "x", 0, 0, 4, 0).padded(200), ErrCorrupt, "dimension 1 is 0"},
		"dimensions overflow":  {tensor(begin(3, 1, 0), "x", 0, 0, 1<<33, 1<<33).padded(200), ErrCorrupt, "2^48 values"},
		"unknown type":         {tensor(begin(3, 1, 0), "x", 77, 0, 32).padded(200), ErrUnsupported, "\"x\" is of ggml type 77"},
		"half a block":         {tensor(begin(3, 1, 0), "x", 12, 0, 128).padded(999), ErrCorrupt, "multiple of 256"},
		"not aligned":          {tensor(begin(3, 1, 0), "x", 0, 4, 8).padded(200), ErrCorrupt, "multiple of 32"},
		"beyond the end":       {tensor(begin(3, 1, 0), "x", 0, 64, 8).padded(128), ErrCorrupt, "truncated"},
		"offset of 2^63":       {tensor(begin(3, 1, 0), "x", 0, 1<<63, 8).padded(128), ErrCorrupt, "begins at"},
		"overlap":              {tensor(tensor(begin(3, 2, 0), "x", 0, 0, 16), "y", 0, 32, 8).padded(400), ErrCorrupt, "\"y\" at 32 of the data overlaps"},
		"tensor twice":         {tensor(tensor(begin(3, 2, 0), "x", 0, 0, 8), "x", 0, 32, 8).padded(400), ErrCorrupt, "there twice"},
		"no architecture":      {begin(3, 0, 0).Bytes(), ErrCorrupt, "general.architecture is missing"},
		"another architecture": {begin(3, 0, 1).put("general.architecture", str, "mamba").padded(99), ErrUnsupported, "\"mamba\"; known: "},
		"mmproj":               {begin(3, 0, 1).put("general.architecture", str, "clip").padded(99), ErrUnsupported, "mmproj"},
		"adapter":              {begin(3, 0, 2).put("general.architecture", str, "llama", "general.type", str, "adapter").padded(99), ErrUnsupported, "adapter"},
		"wrong type of a key":  {begin(3, 0, 1).put("general.architecture", u32, uint32(1)).padded(99), ErrCorrupt, "must be a string"},
		"only a vocabulary":    {begin(3, 0, 1).put("general.architecture", str, "llama").padded(99), ErrCorrupt, "no matrix token_embd.weight"},
	} {
		f, err := newFile("x.gguf", bytes.NewReader(c.data), int64(len(c.data)))
		if err == nil {
			_, err = build([]*file{f})
		}
		if err == nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Keys of the architecture that are not known, and tensors, are refused by name.
func TestUnknown(t *testing.T) {
	const llama, deepseek, bert = "llama-q4_0.gguf", "arch/deepseek_v3.gguf", "arch/bert-sentence.gguf"
	for from, c := range map[string]struct{ file, to, want string }{
		"llama.attention.key_length":       {llama, "llama.attention.key_lengtX", "llama.attention.key_lengtX"},
		"blk.0.attn_k.weight":              {llama, "blk.0.attn_x.weight", "blk.0.attn_x.weight"},
		"token_embd.weight":                {llama, "token_embx.weight", "token_embd.weight"},
		"tokenizer.ggml.scores":            {llama, "tokenizer.ggml.scoreX", "scores is missing"},
		"llama.rope.dimension_count":       {llama, "llama.rope.scaling.unheard", "llama.rope.scaling.unheard"},
		"general.architecture":             {llama, "general.architectura", "general.architecture is missing"},
		"blk.0.attn_v_b.weight":            {deepseek, "blk.0.attn_v_x.weight", `"blk.0.attn_k_b.weight" is there, but no "blk.0.attn_v_b.weight"`},
		"deepseek2.attention.kv_lora_rank": {deepseek, "deepseek2.attention.kv_lora_ranX", `deepseek2.attention.kv_lora_rank": is missing`},
		"deepseek2.expert_gating_func":     {deepseek, "deepseek2.expert_gating_funX", "deepseek2.expert_gating_funX"},
		"bert.pooling_type":                {bert, "bert.pooling_typX", "bert.pooling_typX"},
		"token_types.weight":               {bert, "token_typex.weight", "token_typex.weight"},
	} {
		good, err := os.ReadFile("../../testdata/import/" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.ReplaceAll(good, []byte(from), []byte(c.to))
		f, err := newFile("x.gguf", bytes.NewReader(data), int64(len(data)))
		if err == nil {
			_, err = build([]*file{f})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", from, err, c.want)
		}
	}
}

// FuzzOpen: any bytes are a model or a named error; what opens can be read.
func FuzzOpen(f *testing.F) {
	for _, path := range []string{"../../testdata/import/llama-q4_0.gguf", "../../testdata/import/types.gguf", "../../testdata/import/arch/deepseek_v3.gguf", "../../testdata/import/arch/bert-sentence.gguf"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:4000])
	}
	f.Add(begin(3, 1, 1).put("general.architecture", uint32(kString), "llama").padded(300))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := newFile("x.gguf", bytes.NewReader(data), int64(len(data)))
		if err != nil {
			named(t, err)
			return
		}
		for _, r := range in.blocks {
			if r.kind.block == nil && r.kind.numbers == nil {
				continue
			}
			x := r.tensor(r.name, r.shape, 0, nil)
			c, err := stored.New([]*stored.Tensor{x}, stored.Source{})
			if err != nil {
				named(t, err)
				continue
			}
			row := make([]float32, x.Values()/x.Shape[0])
			if err := c.ReadPart(r.name, 0, row); err != nil {
				named(t, err)
			}
		}
		m, err := build([]*file{in})
		if err != nil {
			named(t, err)
			return
		}
		if _, err := stored.New(m.tensors, stored.Source{}); err != nil {
			named(t, err)
		}
		if _, err := hf.Parse(m.Config, nil); err != nil && !errors.Is(err, hf.ErrConfig) && !errors.Is(err, hf.ErrUnsupported) {
			t.Error(err)
		}
		if m.Tokenizer != nil {
			if _, _, err := tokenizer.ParseFiles(*m.Tokenizer); err != nil {
				for _, is := range []error{tokenizer.ErrFormat, tokenizer.ErrUnsupported, tokenizer.ErrPattern} {
					if errors.Is(err, is) {
						return
					}
				}
				t.Error(err)
			}
		}
	})
}

func named(t *testing.T, err error) {
	if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, stored.ErrCodes) {
		t.Error(err)
	}
}
