package gguf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qpt/bench/synth"
	"qpt/convert/safetensors"
	"qpt/internal/num"
)

// Blocks worked out by hand from the published formulas.
func TestBlocks(t *testing.T) {
	ramp := make([]float32, 32) // -16 .. 15
	for i := range ramp {
		ramp[i] = float32(i - 16)
	}
	ties := make([]float32, 32) // d = 1 in Q8_0; halves go away from zero
	copy(ties, []float32{127, 0.5, -0.5, 1.5, -1.5, 2.5})
	for _, c := range []struct {
		name string
		typ  Type
		x    []float32
		want string
	}{
		// d = 2: code = trunc(x/2 + 8.5) is 0 for -16, 15 for 15 (16 is capped)
		{"ramp", Q4_0, ramp, "0040" + "8091" + "91a2" + "a2b3" + "b3c4" + "c4d5" + "d5e6" + "e6f7" + "f7f8"},
		// the largest is positive: d = -1/8, code 0; the rest is 8
		{"positive", Q4_0, append([]float32{1}, make([]float32, 31)...), "00b0" + "80" + strings.Repeat("88", 15)},
		// 0 / -8 is -0
		{"zero", Q4_0, make([]float32, 32), "0080" + strings.Repeat("88", 16)},
		{"ties", Q8_0, ties, "003c" + "7f01ff02fe03" + strings.Repeat("00", 26)},
		{"zero", Q8_0, make([]float32, 32), "0000" + strings.Repeat("00", 32)},
		{"halves", BF16, []float32{1, -2}, "803f00c0"},
		{"float", F32, []float32{1}, "0000803f"},
	} {
		if got := hex.EncodeToString(c.typ.put(nil, c.x)); got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.typ, c.name, got, c.want)
		}
	}
}

// decode is the reader's side of the formulas.
func decode(typ Type, b []byte) (x []float32) {
	info := types[typ]
	le := binary.LittleEndian
	for ; len(b) > 0; b = b[info.bytes:] {
		switch typ {
		case F32:
			x = append(x, math.Float32frombits(le.Uint32(b)))
		case BF16:
			x = append(x, num.FromBF16(le.Uint16(b)))
		case Q8_0:
			for _, q := range b[2:info.bytes] {
				x = append(x, float32(int8(q))*num.FromF16(le.Uint16(b)))
			}
		case Q4_0:
			for _, shift := range []int{0, 4} {
				for _, q := range b[2:info.bytes] {
					x = append(x, float32(int(q>>shift&15)-8)*num.FromF16(le.Uint16(b)))
				}
			}
		}
	}
	return x
}

// Whatever is decoded is within the step of its block: half of it, the cap at
// 15 in Q4_0 (a whole step), and the rounding of d to f16.
func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 32*200)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * math.Pow(10, float64(i/32%4)-2))
	}
	for _, c := range []struct {
		typ  Type
		tol  float32 // times the largest of the block
		name string
	}{{Q4_0, 1.0/8 + 1e-3, "q4_0"}, {Q8_0, 0.5/127 + 1e-3, "q8_0"}, {BF16, 1.0 / 256, "bf16"}} {
		if got, err := ParseType(c.name); err != nil || got != c.typ {
			t.Errorf("ParseType(%q) = %v, %v", c.name, got, err)
		}
		b := c.typ.put(nil, x)
		if int64(len(b)) != c.typ.size(len(x)) {
			t.Fatalf("%s: %d bytes, want %d", c.typ, len(b), c.typ.size(len(x)))
		}
		for i, y := range decode(c.typ, b) {
			most := float32(math.Abs(float64(largest(x[i/32*32:][:32]))))
			if d := float32(math.Abs(float64(y - x[i]))); d > c.tol*most {
				t.Fatalf("%s: number %d: %g became %g; largest of the block %g", c.typ, i, x[i], y, most)
			}
		}
	}
	if _, err := ParseType("q5_0"); err == nil {
		t.Error("q5_0 is no type of ours")
	}
}

// parsed is what parse finds in a file.
type parsed struct {
	meta    map[string]any
	tensors map[string]tensor
	data    map[string][]byte
}

// parse reads a whole file and holds it to the format's rules.
func parse(t *testing.T, path string) parsed {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(b)
	u32 := func() (v uint32) { binary.Read(r, binary.LittleEndian, &v); return }
	u64 := func() (v uint64) { binary.Read(r, binary.LittleEndian, &v); return }
	str := func() string {
		s := make([]byte, u64())
		r.Read(s)
		return string(s)
	}
	var value func(typ uint32) any
	value = func(typ uint32) any {
		switch typ {
		case typeUint32:
			return u32()
		case typeInt32:
			return int32(u32())
		case typeFloat32:
			return math.Float32frombits(u32())
		case typeBool:
			c, _ := r.ReadByte()
			return c == 1
		case typeString:
			return str()
		case typeArray:
			typ, n := u32(), u64()
			list := make([]any, n)
			for i := range list {
				list[i] = value(typ)
			}
			return list
		}
		t.Fatalf("value of type %d at %d", typ, r.Size()-int64(r.Len()))
		return nil
	}
	if string(b[:4]) != "GGUF" || u32() != magic || u32() != 3 {
		t.Fatalf("begins with % x", b[:8])
	}
	p := parsed{map[string]any{}, map[string]tensor{}, map[string][]byte{}}
	nt, nm := u64(), u64()
	for range nm {
		key := str()
		p.meta[key] = value(u32())
	}
	offsets := map[string]int{}
	for range nt {
		x := tensor{name: str()}
		for range u32() {
			x.dims = append(x.dims, int(u64()))
		}
		x.typ = Type(u32())
		offsets[x.name] = int(u64())
		p.tensors[x.name] = x
	}
	start := (len(b) - r.Len() + align - 1) / align * align
	end := start
	for name, x := range p.tensors {
		off := start + offsets[name]
		if offsets[name]%align != 0 {
			t.Errorf("tensor %q at %d: not aligned", name, offsets[name])
		}
		p.data[name] = b[off : off+int(x.size())]
		end = max(end, (off+int(x.size())+align-1)/align*align)
	}
	if end != len(b) {
		t.Errorf("file of %d bytes, tensors end at %d", len(b), end)
	}
	return p
}

func TestConvert(t *testing.T) {
	for _, c := range []struct {
		shape string
		typ   Type
		model string // of the tokenizer
		count int    // tensors
	}{
		{"tiny", Q4_0, "llama", 3 + 2*9},
		{"tiny-llama3", BF16, "gpt2", 3 + 2*9}, // tied, so no output, but rope_freqs
	} {
		dir := filepath.Join(t.TempDir(), c.shape)
		s := synth.Shapes[c.shape]
		if err := synth.Write(dir, s, synth.Options{Shards: 2}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "out.gguf")
		if err := Convert(dir, path, c.typ); err != nil {
			t.Fatal(err)
		}
		p := parse(t, path)
		for key, want := range map[string]any{
			"general.architecture": "llama", "general.name": c.shape, "general.file_type": types[c.typ].generalType,
			"llama.block_count": uint32(s.Layers), "llama.attention.head_count_kv": uint32(s.KVHeads),
			"llama.rope.freq_base": float32(s.RopeTheta), "tokenizer.ggml.model": c.model,
		} {
			if p.meta[key] != want {
				t.Errorf("%s: %s is %v, want %v", c.shape, key, p.meta[key], want)
			}
		}
		if n := len(p.meta["tokenizer.ggml.tokens"].([]any)); n != s.Vocab {
			t.Errorf("%s: %d tokens, want %d", c.shape, n, s.Vocab)
		}
		if len(p.tensors) != c.count {
			t.Errorf("%s: %d tensors, want %d", c.shape, len(p.tensors), c.count)
		}
		ckpt, err := safetensors.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer ckpt.Close()
		for name, source := range map[string]string{
			"blk.1.attn_k.weight": "model.layers.1.self_attn.k_proj.weight", "blk.0.ffn_down.weight": "model.layers.0.mlp.down_proj.weight",
			"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
		} {
			src, _ := ckpt.Tensor(source)
			x := make([]float32, src.NumElems())
			if err := src.ReadRows(0, src.NumRows(), x); err != nil {
				t.Fatal(err)
			}
			got := p.tensors[name]
			if len(src.Shape) == 2 && (got.typ != c.typ || got.dims[0] != src.Shape[1] || got.dims[1] != src.Shape[0]) || len(src.Shape) == 1 && got.typ != F32 {
				t.Errorf("%s: tensor %q is %v %v", c.shape, name, got.typ, got.dims)
			}
			if strings.Contains(name, "attn_k") {
				x = permuted(x, s.HeadDim, s.Hidden)
			}
			if want := got.typ.put(nil, x); !bytes.Equal(p.data[name], want) {
				t.Errorf("%s: tensor %q has other data", c.shape, name)
			}
		}
	}
}

// permuted is transformers' reshape(heads, 2, d/2, k).swapaxes(1, 2), the rule
// of llama.cpp's converter, spelt out.
func permuted(x []float32, d, k int) []float32 {
	var out []float32
	for head := 0; head < len(x); head += d * k {
		for i := range d / 2 {
			for j := range 2 {
				out = append(out, x[head+(j*d/2+i)*k:][:k]...)
			}
		}
	}
	return out
}

// The factors for Llama 3.1 (theta 500000, head 128) are 1 at the start, 8 at the end.
func TestRopeFactors(t *testing.T) {
	var c config
	c.HeadDim, c.RopeTheta = 128, 5e5
	if c.ropeFactors() != nil {
		t.Error("factors without rope_scaling")
	}
	if err := json.Unmarshal([]byte(`{"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}}`), &c); err != nil {
		t.Fatal(err)
	}
	f := c.ropeFactors()
	if len(f) != 64 || f[0] != 1 || f[28] != 1 || f[63] != 8 || f[32] <= 1 || f[32] >= 8 {
		t.Errorf("factors %v", f)
	}
}

func TestErrors(t *testing.T) {
	write := func(files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	const good = `{"model_type":"llama","hidden_size":%d,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":64,"vocab_size":1}`
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{nil, "config.json"},
		{map[string]string{"config.json": "{"}, "unexpected end"},
		{map[string]string{"config.json": `{"model_type":"gpt2"}`}, "only llama"},
		{map[string]string{"config.json": `{"model_type":"llama"}`}, "lacks"},
		{map[string]string{"config.json": fmt.Sprintf(good, 48)}, "do not divide into blocks of 32"},
		{map[string]string{"config.json": fmt.Sprintf(good, 64), "tokenizer.json": `{"model":{"type":"Unigram"}}`}, "only BPE"},
		{map[string]string{"config.json": fmt.Sprintf(good, 64), "tokenizer.json": `{"model":{"type":"BPE","vocab":{"a":7}}}`}, "vocabulary ends at 1"},
	} {
		out := filepath.Join(t.TempDir(), "out.gguf")
		err := Convert(write(c.files), out, Q4_0)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c.files, err, c.want)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), "*")); len(left) > 0 {
			t.Errorf("%v: left behind %v", c.files, left)
		}
	}
}
