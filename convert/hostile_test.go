package convert

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"qpt/bench/synth"
	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/format/graph"
	"qpt/runtime/lm/tokenizer"
)

// A checkpoint as files by name; mutations change a clone.
type folder map[string][]byte

func readCheckpoint(t testing.TB, dir string) folder {
	c := folder{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if c[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// with returns a copy in which one file is another.
func (c folder) with(name string, data []byte) folder {
	d := maps.Clone(c)
	d[name] = data
	return d
}

// maxAlloc bounds the garbage of one conversion: a sound one of 1 MB takes some
// 20 MiB, a tokenizer.json of size bytes about 30 times as much.
func maxAlloc(size int) uint64 { return uint64(64<<20 + 64*size) }

// outcome says how a conversion may end.
type outcome int

const (
	anyEnd  outcome = iota // bad input, a file that is not there, or a sound output
	fails                  // bad input
	works                  // the mutation is harmless
	missing                // a file is not there
)

// lab is where checkpoints are tried, one after the other in the same folder.
type lab struct {
	*testing.T
	in, out string
	written folder
	dry     bool            // stop before the file is written: the disk is slow
	models  map[string]bool // of dry runs: those tried already are not run again
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, in: filepath.Join(t.TempDir(), "in"), out: t.TempDir(), written: folder{}, models: map[string]bool{}}
	if err := os.Mkdir(l.in, 0o755); err != nil {
		t.Fatal(err)
	}
	return l
}

// set makes c the checkpoint and returns its size.
func (l *lab) set(c folder) (size int) {
	for name := range l.written {
		if _, ok := c[name]; !ok {
			l.check(os.Remove(filepath.Join(l.in, name)))
			delete(l.written, name)
		}
	}
	for name, data := range c {
		size += len(data)
		if old, ok := l.written[name]; !ok || len(old) != len(data) || unsafe.SliceData(old) != unsafe.SliceData(data) {
			l.check(os.WriteFile(filepath.Join(l.in, name), data, 0o644))
			l.written[name] = data
		}
	}
	return size
}

func (l *lab) check(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// try converts c and holds the end against want: never a panic, nothing left
// behind by a failure, a sound file otherwise, and bounded memory.
func (l *lab) try(name string, c folder, want outcome) {
	l.Helper()
	size := l.set(c)
	file := filepath.Join(l.out, "m.qpt")
	defer func() {
		if r := recover(); r != nil {
			l.Errorf("%s: panic: %v", name, r)
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ran, err := l.convert(Options{In: l.in, Out: file, Scheme: "bf16", References: 2, Threads: 1})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > maxAlloc(size) {
		l.Errorf("%s: %d MiB allocated", name, n>>20)
	}
	left, e := os.ReadDir(l.out)
	l.check(e)
	switch {
	case err == nil && (want == fails || want == missing):
		l.Errorf("%s: converted without an error", name)
	case err == nil && ran:
		f, err := format.Open(file)
		if err == nil {
			err = errors.Join(f.Verify(l.Context(), nil), f.Close())
		}
		if err != nil || len(left) != 1 {
			l.Errorf("%s: bad output: %v, %d files", name, err, len(left))
		}
	case err == nil:
	case len(left) > 0:
		l.Errorf("%s: %q is left after: %v", name, left[0].Name(), err)
	case want == works:
		l.Errorf("%s: %v", name, err)
	case want == missing || want == anyEnd && errors.Is(err, fs.ErrNotExist):
		if !errors.Is(err, fs.ErrNotExist) {
			l.Errorf("%s: %v, want a file that does not exist", name, err)
		}
	case !IsBadInput(err):
		l.Errorf("%s: not an error about the input: %v", name, err)
	case len(err.Error()) > 4000 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' && r != '\n' }):
		l.Errorf("%s: unreadable error of %d bytes: %.300q", name, len(err.Error()), err)
	}
	for _, e := range left {
		l.check(os.Remove(filepath.Join(l.out, e.Name())))
	}
}

// convert is a conversion. A dry one ends with the FP32 results, which take a
// changed configuration and tokenizer through all there is to them.
func (l *lab) convert(opt Options) (ran bool, err error) {
	plan, err := MakePlan(opt)
	if err != nil {
		return false, err
	}
	defer plan.Close()
	if !l.dry {
		_, err = plan.Run(l.Context(), Hooks{})
		return true, err
	}
	m := plan.Model
	g, err := graph.Marshal(m.Graph)
	if err != nil {
		return false, err
	}
	var blob []byte
	if plan.tok != nil {
		if blob, err = plan.tok.MarshalBinary(); err != nil {
			return false, err
		}
		if _, err := tokenizer.Load(blob); err != nil { // as qrun will
			return false, fmt.Errorf("what the converter writes cannot be read: %v", err)
		}
	}
	key := fmt.Sprint(string(g), m.BOS, m.EOS, m.MaxPos, string(blob))
	if l.models[key] {
		return false, nil
	}
	l.models[key] = true
	_, err = plan.references(l.Context(), refRows, nil)
	return false, err
}

func stories(t testing.TB) folder {
	return readCheckpoint(t, filepath.Join("..", "testdata", "stories260K"))
}

const weightsName = "model.safetensors"

// header splits a safetensors file into its JSON and its data.
func header(file []byte) (text string, data []byte) {
	n := binary.LittleEndian.Uint64(file)
	return string(file[8 : 8+n]), file[8+n:]
}

func join(text string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(b, text...), data...)
}

// flipped inverts one bit.
func flipped(data []byte, bit int) []byte {
	b := bytes.Clone(data)
	b[bit/8] ^= 1 << (bit % 8)
	return b
}

// notShort skips what says nothing to the race detector.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("one goroutine only")
	}
}

func TestSound(t *testing.T) {
	l := newLab(t)
	c := stories(t)
	l.try("as it is", c, works)
	delete(c, "generation_config.json")
	delete(c, "tokenizer_config.json")
	l.try("without the optional files", c, works)
	delete(c, "tokenizer.json")
	l.try("without a tokenizer", c, works)
	for _, name := range []string{"config.json", weightsName} {
		d := maps.Clone(c)
		delete(d, name)
		l.try("without "+name, d, missing)
	}
}

func TestHostileWeights(t *testing.T) {
	notShort(t)
	l := newLab(t)
	c := stories(t)
	file := c[weightsName]
	text, data := header(file)
	with := func(name string, data []byte, want outcome) {
		t.Helper()
		l.try(name, c.with(weightsName, data), want)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 10 {
		with(fmt.Sprintf("cut to %d", n), file[:n], fails)
	}
	for range 30 {
		n := rng.IntN(len(text))
		with(fmt.Sprintf("cut to %d", n), file[:n], fails)
		n = rng.IntN(len(file))
		with(fmt.Sprintf("cut to %d", n), file[:n], fails)
	}
	with("one byte more", append(bytes.Clone(file), 0), fails)
	for bit := range 64 {
		with(fmt.Sprintf("length bit %d", bit), flipped(file, bit), fails)
	}
	for range 150 {
		bit := 64 + rng.IntN(8*len(text))
		with(fmt.Sprintf("header bit %d", bit), flipped(file, bit), anyEnd)
	}
	for range 10 { // a weight changes; NaN and huge ones are found
		bit := 8*(len(file)-len(data)) + rng.IntN(8*len(data))
		with(fmt.Sprintf("data bit %d", bit), flipped(file, bit), anyEnd)
	}

	// Every tensor has numbers that are none.
	for _, at := range []int{0, len(data)/2&^3 - 4, len(data) - 4} {
		for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			d := bytes.Clone(data)
			binary.LittleEndian.PutUint32(d[at:], math.Float32bits(float32(x)))
			with(fmt.Sprintf("%v at %d", x, at), join(text, d), fails)
		}
	}

	for _, m := range []struct{ name, old, new string }{
		{"unknown dtype", `"F32"`, `"F31"`},
		{"integers", `"F32"`, `"I32"`},
		{"bits", `"F32"`, `"U32"`},
		{"smaller dtype", `"F32"`, `"F16"`},
		{"bytes", `"F32"`, `"BOOL"`},
		{"lower case", `"F32"`, `"f32"`},
		{"null", `"F32"`, `null`},
		{"negative extent", `"shape":[64]`, `"shape":[-64]`},
		{"fractional extent", `"shape":[64]`, `"shape":[64.0]`},
		{"huge extent", `"shape":[64]`, `"shape":[9223372036854775807]`},
		{"overflowing shape", `"shape":[64]`, `"shape":[4294967296,4294967296,4]`},
		{"beyond int", `"shape":[64]`, `"shape":[99999999999999999999]`},
		{"no elements", `"shape":[64]`, `"shape":[0]`},
		{"scalar", `"shape":[64]`, `"shape":[]`},
		{"split shape", `"shape":[64]`, `"shape":[8,8]`},
		{"shape of another", `"shape":[64,64]`, `"shape":[32,128]`},
		{"text for a shape", `"shape":[64]`, `"shape":"64"`},
		{"no shape", `"shape":[64],`, ``},
		{"overlap", `"data_offsets":[`, `"data_offsets":[1`},
		{"start only", `"data_offsets":[0,`, `"data_offsets":[`},
		{"one key twice", `{`, `{"__metadata__":{},"__metadata__":{},`},
		{"one tensor twice", `model.layers.1.self_attn.q_proj`, `model.layers.0.self_attn.q_proj`},
		{"other name", `model.layers.1.self_attn.q_proj`, `model.layers.9.self_attn.q_proj`},
		{"empty name", `"model.norm.weight"`, `""`},
		{"control in a name", `model.norm.weight`, "model\x01norm.weight"},
		{"no UTF-8", `model.norm.weight`, "model.n\xffrm.weight"},
		{"trailing text", `}}`, `}} x`},
		{"array", `{`, `[`},
		{"empty", text, ``},
		{"empty object", text, `{}`},
		{"null header", text, `null`},
		{"deep field", `"dtype"`, `"x":` + strings.Repeat(`[`, 100000) + strings.Repeat(`]`, 100000) + `,"dtype"`},
		{"deep metadata", `{`, `{"__metadata__":{"a":` + strings.Repeat(`{"a":`, 100000)},
	} {
		if !strings.Contains(text, m.old) {
			t.Fatalf("%s: no %s in the header", m.name, m.old)
		}
		with(m.name, join(strings.Replace(text, m.old, m.new, 1), data), fails)
	}
	with("spaces", join(strings.ReplaceAll(text, `,`, " ,\n\t"), data), works)
	with("an unknown field", join(strings.Replace(text, `"dtype"`, `"colour":{"a":[1,null,"x"]},"dtype"`, 1), data), works)
	with("long metadata", join(strings.Replace(text, `"format":"`, `"format":"`+strings.Repeat("x", 1<<20), 1), data), works)
	with("a long name", join(strings.Replace(text, `model.norm`, strings.Repeat("n", 1<<20), 1), data), fails)
	many := make([]byte, 0, 1<<20)
	for i := range 10000 {
		many = fmt.Appendf(many, `"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},`, i)
	}
	with("10000 more tensors", join(strings.Replace(text, `{`, `{`+string(many), 1), data), fails)
}

func TestHostileIndex(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	if err := synth.Write(dir, synth.Shapes["tiny"], synth.Options{Shards: 2, DType: safetensors.F32}); err != nil {
		t.Fatal(err)
	}
	c := readCheckpoint(t, dir)
	const name = "model.safetensors.index.json"
	text := string(c[name])
	l.try("as it is", c, works)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		l.try("cut", c.with(name, c[name][:rng.IntN(len(text)-2)]), fails)
	}
	for range 100 {
		bit := rng.IntN(8 * len(text))
		l.try(fmt.Sprintf("bit %d", bit), c.with(name, flipped(c[name], bit)), anyEnd)
	}
	const shard = `"model-00002-of-00002.safetensors"`
	for _, m := range []struct {
		name, old, new string
		want           outcome
	}{
		{"out of the folder", shard, `"../model-00002-of-00002.safetensors"`, fails},
		{"absolute", shard, `"/etc/passwd"`, fails},
		{"parent", shard, `".."`, fails},
		{"this folder", shard, `"."`, fails},
		{"nothing", shard, `""`, fails},
		{"zero byte", shard, `"model\u0000"`, fails},
		{"backslash", shard, `"..\\model.safetensors"`, fails},
		{"the index itself", shard, `"` + name + `"`, fails},
		{"another file", shard, `"config.json"`, fails},
		{"no such shard", shard, `"model-0.safetensors"`, missing},
		{"the other shard", shard, `"model-00001-of-00002.safetensors"`, fails},
		{"number", shard, `7`, fails},
		{"null", shard, `null`, fails},
		{"twice", `"weight_map": {`, `"weight_map": {}, "weight_map": {`, fails},
		{"one more tensor", `"weight_map": {`, `"weight_map": {"x": ` + shard + `,`, fails},
		{"other map", `"weight_map"`, `"weights"`, fails},
		{"empty map", text, `{"weight_map": {}}`, fails},
		{"array", text, `[]`, fails},
		{"empty", text, ``, fails},
		{"deep", `"weight_map"`, `"x": ` + strings.Repeat(`[`, 1e5) + strings.Repeat(`]`, 1e5) + `, "weight_map"`, fails},
		{"huge number", `"total_size": `, `"total_size": 9999999999999999999999`, works}, // a wrong size is a warning
		{"spaces", `{`, " \n{", works},
	} {
		if !strings.Contains(text, m.old) {
			t.Fatalf("%s: no %s in the index", m.name, m.old)
		}
		l.try(m.name, c.with(name, []byte(strings.Replace(text, m.old, m.new, 1))), m.want)
	}
	missingShard := maps.Clone(c)
	delete(missingShard, "model-00001-of-00002.safetensors")
	l.try("a shard is missing", missingShard, missing)
}

func TestHostileConfig(t *testing.T) {
	notShort(t)
	l := newLab(t)
	l.dry = true
	c := stories(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, name := range []string{"config.json", "generation_config.json", "tokenizer_config.json"} {
		data := c[name]
		for range 30 {
			l.try(name+" cut", c.with(name, data[:rng.IntN(len(bytes.TrimSpace(data)))]), fails)
		}
		for range 80 {
			bit := rng.IntN(8 * len(data))
			l.try(fmt.Sprintf("%s: bit %d", name, bit), c.with(name, flipped(data, bit)), anyEnd)
		}
		for text, want := range map[string]outcome{
			"": fails, "null": fails, "[]": fails, "7": fails, `"x"`: fails, "{": fails, "{}{}": fails,
			"\xef\xbb\xbf" + string(data):                            fails,
			string(data) + " \n\t":                                   works,
			string(data) + "\x00":                                    fails,
			strings.Replace(string(data), "{", `{"a":1,"a":2,`, 1):   fails,
			strings.Replace(string(data), "{", "{\"\xff\":1,", 1):    fails,
			strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5):      fails,
			`{"x":` + strings.Repeat(`{"x":`, 1e5):                   fails,
			`{"x":[` + strings.Repeat("0,", 1<<19) + "0]}":           fails,
			`{"` + strings.Repeat("x", 1<<20) + `":1}`:               fails,
			strings.Repeat(" ", 2<<20) + string(data) + "          ": anyEnd,
		} {
			if name == "tokenizer_config.json" && want == fails && (text == "null" || strings.HasPrefix(text, `{"`)) {
				want = anyEnd // it may be empty, and its unknown keys are ignored
			}
			l.try(fmt.Sprintf("%s: %.40q", name, text), c.with(name, []byte(text)), want)
		}
	}

	// Every key of config.json with values that it should not have.
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(c["config.json"], &doc); err != nil {
		t.Fatal(err)
	}
	values := []string{"0", "-1", "1", "2", "7", "0.5", "1e9", "1e308", "2147483648", "9223372036854775807", "1e999", `"64"`, `""`, "null", "true", "[]", "[1]", "{}", `{"type":"llama3"}`}
	for _, key := range slices.Sorted(maps.Keys(doc)) {
		for _, v := range values {
			d := maps.Clone(doc)
			d[key] = json.RawMessage(v)
			text, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			l.try(key+" = "+v, c.with("config.json", text), anyEnd)
		}
	}
	for _, more := range []string{
		`"rope_scaling":{"type":"linear","factor":1e300}`, `"rope_scaling":{"type":"linear","factor":0}`,
		`"rope_scaling":{"type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":1,"original_max_position_embeddings":512}`,
		`"rope_scaling":{"type":"yarn","factor":2}`, `"rope_scaling":{"rope_type":"dynamic","factor":-3}`, `"rope_scaling":[]`,
		`"quantization_config":{"bits":4}`, `"num_experts":8`, `"sliding_window":64`, `"head_dim":7`, `"head_dim":1000000`,
		`"eos_token_id2":1`, `"attention_bias":true`, `"mlp_bias":true`, `"pretraining_tp":0`,
	} {
		l.try(more, c.with("config.json", bytes.Replace(c["config.json"], []byte("{"), []byte("{"+more+","), 1)), fails)
	}
}

func TestHostileTokenizer(t *testing.T) {
	notShort(t)
	l := newLab(t)
	l.dry = true
	c := stories(t)
	const name = "tokenizer.json"
	data := c[name]
	text := string(data)
	rng := rand.New(rand.NewPCG(7, 8))
	for range 40 {
		l.try("cut", c.with(name, data[:rng.IntN(len(bytes.TrimSpace(data)))]), fails)
	}
	for range 150 {
		bit := rng.IntN(8 * len(data))
		l.try(fmt.Sprintf("bit %d", bit), c.with(name, flipped(data, bit)), anyEnd)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	// change applies f to a copy of the document.
	change := func(what string, want outcome, f func(doc, model map[string]any)) {
		t.Helper()
		var d map[string]any
		if err := json.Unmarshal(data, &d); err != nil {
			t.Fatal(err)
		}
		f(d, d["model"].(map[string]any))
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		l.try(what, c.with(name, b), want)
	}
	vocab := func(m map[string]any) map[string]any { return m["vocab"].(map[string]any) }
	split := func(regex string) any {
		return map[string]any{"type": "Split", "pattern": map[string]any{"Regex": regex}, "behavior": "Isolated", "invert": false}
	}
	// The class that takes tokenizer.json as it is; Llama's builds its own pipeline.
	c = c.with("tokenizer_config.json", []byte(`{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"}`))
	change("the same", works, func(doc, model map[string]any) {})
	change("huge id", fails, func(_, m map[string]any) { vocab(m)["zz"] = 2147483647 })
	change("id beyond int32", fails, func(_, m map[string]any) { vocab(m)["zz"] = 1e12 })
	change("negative id", fails, func(_, m map[string]any) { vocab(m)["zz"] = -1 })
	change("shared id", fails, func(_, m map[string]any) { vocab(m)["zz"] = 5 })
	change("id as text", fails, func(_, m map[string]any) { vocab(m)["zz"] = "7" })
	change("more tokens than the model", works, func(_, m map[string]any) { vocab(m)["zz"] = 600 }) // a warning
	change("no vocabulary", fails, func(_, m map[string]any) { m["vocab"] = map[string]any{} })
	change("merge of strangers", fails, func(_, m map[string]any) { m["merges"] = []any{"q z"} })
	change("merge of three", fails, func(_, m map[string]any) { m["merges"] = []any{"a b c"} })
	change("merge of numbers", fails, func(_, m map[string]any) { m["merges"] = []any{1, 2} })
	change("merge of nothing", fails, func(_, m map[string]any) { m["merges"] = []any{[]any{"", "a"}} })
	change("a million merges", fails, func(_, m map[string]any) { m["merges"] = make([]any, 1e6) })
	change("unknown unk", anyEnd, func(_, m map[string]any) { m["unk_token"] = "nowhere" })
	change("dropout", fails, func(_, m map[string]any) { m["dropout"] = 0.5 })
	change("unknown key", fails, func(d, _ map[string]any) { d["hook"] = "rm" })
	change("unknown normalizer", fails, func(d, _ map[string]any) { d["normalizer"] = map[string]any{"type": "Evil"} })
	change("exponential regex", works, func(d, _ map[string]any) { d["pre_tokenizer"] = split(`(?:[a-z ]+)+[0-9]{9}`) }) // Encode bounds its time
	change("broken regex", fails, func(d, _ map[string]any) { d["pre_tokenizer"] = split(`(`) })
	change("long regex", fails, func(d, _ map[string]any) { d["pre_tokenizer"] = split(strings.Repeat("a?", 1e5)) })
	change("growing text", fails, func(d, _ map[string]any) {
		one := map[string]any{"type": "Replace", "pattern": map[string]any{"String": "a"}, "content": strings.Repeat("a", 1000)}
		d["normalizer"] = map[string]any{"type": "Sequence", "normalizers": []any{one, one, one, one}}
	})
	change("deep sequence", fails, func(d, _ map[string]any) {
		n := any(map[string]any{"type": "NFC"})
		for range 1000 {
			n = map[string]any{"type": "Sequence", "normalizers": []any{n}}
		}
		d["normalizer"] = n
	})
	change("template with strangers", fails, func(d, _ map[string]any) {
		d["post_processor"] = map[string]any{"type": "TemplateProcessing", "single": []any{map[string]any{"SpecialToken": map[string]any{"id": "<x>", "type_id": 0}}}, "pair": []any{}, "special_tokens": map[string]any{}}
	})
	change("long prefix", anyEnd, func(d, _ map[string]any) {
		ids := make([]int, 1e5)
		d["post_processor"] = map[string]any{"type": "TemplateProcessing", "pair": []any{},
			"single":         []any{map[string]any{"SpecialToken": map[string]any{"id": "x", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}},
			"special_tokens": map[string]any{"x": map[string]any{"id": "x", "ids": ids, "tokens": []any{}}}}
	})
	for old, new := range map[string]string{
		`"BPE"`:   `"WordPiece"`,
		`"model"`: `"model": {}, "model"`,
		`"vocab"`: "\"voc\xffab\"",
		`{`:       strings.Repeat("[", 1e5),
		text:      "",
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("no %s", old)
		}
		l.try("with "+new[:min(len(new), 20)], c.with(name, []byte(strings.Replace(text, old, new, 1))), fails)
	}
}
