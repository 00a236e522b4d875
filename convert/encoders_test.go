package convert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"qpt/convert/safetensors"
	"qpt/convert/safetensors/sttest"
	"qpt/format"
	"qpt/internal/cpu"
	"qpt/runtime"
)

// encoders are those of testdata/families whose goldens have a padded batch.
func encoders(t *testing.T) (dirs []string) {
	t.Helper()
	all, err := filepath.Glob("../testdata/families/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		if goldenInputs(t, dir, "batch.") != nil {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) < 9 {
		t.Fatalf("%d encoders in testdata", len(dirs))
	}
	if testing.Short() { // with the race detector
		dirs = dirs[:9]
	}
	return dirs
}

// golden reads a tensor of a checkpoint's goldens, nil if there is none.
func golden(t *testing.T, dir, name string) (x runtime.Tensor) {
	t.Helper()
	if g := sttest.Open(t, filepath.Join(dir, "goldens.safetensors")); g.Has(name) {
		x.F, x.Shape = g.Floats(name)
	}
	return x
}

func goldenInputs(t *testing.T, dir, at string) (in map[string]runtime.Tensor) {
	for _, name := range []string{"input_ids", "attention_mask", "token_type_ids"} {
		x := golden(t, dir, at+name)
		if x.F == nil {
			continue
		}
		for _, v := range x.F {
			x.I = append(x.I, int32(v))
		}
		if x.F = nil; in == nil {
			in = map[string]runtime.Tensor{}
		}
		in[name] = x
	}
	return in
}

// TestEncoders: every family by the fast executor. In f32 its results are the library's, rows of padding apart; in
// every scheme a row of a padded batch has the bits that it has alone, and the results stay near those in f32.
func TestEncoders(t *testing.T) {
	for _, dir := range encoders(t) {
		exact := map[string]runtime.Tensor{}
		// Cosines to f32 of tiny random models, in which nothing averages out.
		least := map[string]float64{"bf16": 0.998, "a16w8": 0.995, "da8w8": 0.99, "da8w4": 0.85}
		if filepath.Base(dir) == "mobilebert" { // whose layers have no norms: what one rounds grows in the next (bench/families holds its sums to their definition)
			least = map[string]float64{"bf16": 0.99, "a16w8": 0.9, "da8w8": 0.9, "da8w4": 0.25}
		}
		for _, scheme := range []string{"f32", "bf16", "da8w8", "a16w8", "da8w4"} {
			t.Run(filepath.Base(dir)+"/"+scheme, func(t *testing.T) {
				opt := Options{In: dir, Scheme: scheme, Out: filepath.Join(t.TempDir(), "m.qpt"), References: -1}
				if scheme == "da8w8" { // once each
					opt.References = 0
				}
				p, err := MakePlan(opt)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				if _, err := p.Run(context.Background(), Hooks{}); err != nil {
					t.Fatal(err)
				}
				m, err := runtime.Load(p.Opt.Out, runtime.Options{Threads: 2})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				for _, at := range []string{"p0.", "p1.", "batch."} {
					in := goldenInputs(t, dir, at)
					y, err := m.Run(t.Context(), in, runtime.RunOptions{Hidden: true})
					if err != nil {
						t.Fatal(err)
					}
					seen := 0
					for name, x := range y {
						want := golden(t, dir, at+name)
						if scheme != "f32" {
							want = exact[at+name]
						} else if exact[at+name] = x; want.F == nil {
							continue
						}
						seen++
						compareEncoder(t, at+name, least[scheme], x, want, in["attention_mask"])
					}
					if seen < 1 {
						t.Errorf("%s: nothing to compare", at)
					}
					if at == "batch." {
						lonely(t, m, in, y)
					}
				}
			})
		}
	}
}

// compareEncoder holds got to a cosine, or if that is 0 to the exact values.
func compareEncoder(t *testing.T, name string, least float64, got, want, mask runtime.Tensor) {
	t.Helper()
	if !slices.Equal(got.Shape, want.Shape) {
		t.Errorf("%s has shape %v, want %v", name, got.Shape, want.Shape)
		return
	}
	var xy, xx, yy, worst, top float64
	for i, w := range want.F {
		x, y := float64(got.F[i]), float64(w)
		if width := len(want.F) / len(mask.I); len(mask.Shape) == 2 && len(want.Shape) == 3 && mask.I[i/width] == 0 { // padding
			if x != 0 {
				t.Errorf("%s: %v where there is no token", name, x)
				return
			}
			continue
		}
		xy, xx, yy = xy+x*y, xx+x*x, yy+y*y
		worst, top = max(worst, math.Abs(x-y)), max(top, math.Abs(y))
	}
	if least == 0 {
		bound := 1e-5 * top
		if cpu.Active() == cpu.Generic { // which sums in one chain
			bound *= 2
		}
		if !(worst <= bound) {
			t.Errorf("%s: %.2g of the greatest value away", name, worst/top)
		}
		return
	}
	if cos := xy / math.Sqrt(xx*yy); !(cos >= least) {
		t.Errorf("%s: cosine to f32 %.4f, want %v", name, cos, least)
	}
}

// lonely runs each row of a padded batch alone.
func lonely(t *testing.T, m *runtime.Model, in, together map[string]runtime.Tensor) {
	t.Helper()
	rows, width := in["input_ids"].Shape[0], in["input_ids"].Shape[1]
	for b := range rows {
		n := 0
		for _, there := range in["attention_mask"].I[b*width : (b+1)*width] {
			n += int(there)
		}
		one := map[string]runtime.Tensor{}
		for name, x := range in {
			if name != "attention_mask" {
				one[name] = runtime.Tensor{Shape: []int{n}, I: x.I[b*width : b*width+n]}
			}
		}
		y, err := m.Run(t.Context(), one, runtime.RunOptions{Hidden: true})
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range y {
			all := together[name]
			part := all.F[len(all.F)/rows*b:][:len(x.F)]
			if !slices.EqualFunc(x.F, part, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
				t.Errorf("row %d of %s is not what it is alone", b, name)
			}
		}
	}
}

// TestDelicate: what an encoder keeps finer under da8w8 is told, and gives way to a rule.
func TestDelicate(t *testing.T) {
	schemes := func(opt Options) (list []string) {
		opt.In, opt.Scheme, opt.Out = "../testdata/families/bert", "da8w8", filepath.Join(t.TempDir(), "m.qpt")
		p, err := MakePlan(opt)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for name, f := range delicate(p.graph, true) { // s8s8's
			if want := map[bool]string{true: "da8w8", false: "bf16"}[strings.HasSuffix(name, "attention.output.dense.weight")]; f.scheme != want {
				t.Errorf("s8s8 has %s in %s, want %s", name, f.scheme, want)
			}
		}
		for _, it := range p.Items {
			if table := it.Scheme == "bf16"; table != (it.Reason == delicateReason) || (it.input != "") != (it.Reason == wildReason) || it.input != "" && it.Scheme != "da8w8" {
				t.Errorf("%s is %s: %q", it.Name, it.Scheme, it.Reason)
			}
			if it.input != "" && strings.Contains(it.Name, "layer.0.") {
				list = append(list, strings.TrimPrefix(it.Name, "bert.encoder.layer.0."))
			}
		}
		return list
	}
	if got, want := schemes(Options{}), []string{"attention.self.query.weight", "attention.self.key.weight", "attention.self.value.weight", "intermediate.dense.weight", "output.dense.weight"}; !slices.Equal(got, want) {
		t.Errorf("with wild columns: %v, want %v", got, want)
	}
	if got := schemes(Options{Overrides: []Override{{Match: `layer`, Scheme: "da8w8"}}}); got != nil {
		t.Errorf("wild columns against a rule: %v", got)
	}
}

// TestEncoderStatic: the ranges of s8s8 come from a text.
func TestEncoderStatic(t *testing.T) {
	const dir = "../testdata/families/bert"
	calib := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(calib, []byte(strings.Repeat("the cat sat on a mat and saw the dog run by the old house\n", 20)), 0o644); err != nil {
		t.Fatal(err)
	}
	y := map[string][]float32{}
	for _, scheme := range []string{"f32", "s8s8"} {
		opt := Options{In: dir, Scheme: scheme, Out: filepath.Join(t.TempDir(), "m.qpt")}
		if scheme == "s8s8" {
			opt.Calib = calib
		}
		p, err := MakePlan(opt)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := p.Run(t.Context(), Hooks{}); err != nil {
			t.Fatal(err)
		}
		m, err := runtime.Load(opt.Out, runtime.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		out, err := m.Run(t.Context(), goldenInputs(t, dir, "p1."), runtime.RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		y[scheme] = out["last_hidden_state"].F
	}
	var xy, xx, yy float64
	for i, a := range y["s8s8"] {
		b := float64(y["f32"][i])
		xy, xx, yy = xy+float64(a)*b, xx+float64(a)*float64(a), yy+b*b
	}
	if cos := xy / math.Sqrt(xx*yy); !(cos > 0.8 && cos < 1) {
		t.Errorf("cosine of s8s8 to f32 %.4f", cos)
	}
}

// TestEncoderCalibration: an encoder is calibrated on texts as it reads them: each line with the tokens round it, pairs with their types, as
// many as come to the tokens that samples of that length have.
func TestEncoderCalibration(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := write("a.txt", strings.Repeat("the cat\n\na dog\n", 60))
	pairs := write("a.jsonl", strings.Repeat(`{"text":"the cat","pair":"a dog"}`+"\n"+`{"text":"the cat"}`+"\n"+`{"ids":[5,6]}`+"\n", 40))
	for path, want := range map[string]string{
		plain: "[2 6 38 31 17 33 32 3] [0 0 0 0 0 0 0 0]",
		pairs: "[2 6 38 31 17 33 32 3 7 14 34 51 3] [0 0 0 0 0 0 0 0 1 1 1 1 1]",
	} {
		p, err := MakePlan(Options{In: "../testdata/families/bert-pairs", Scheme: "s8s8", Calib: path, CalibSamples: 3, CalibLength: 30, Out: filepath.Join(dir, "m.qpt")})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		text, err := p.calibrationText(t.Context(), Hooks{}, p.Recipe.Calibration)
		if err != nil {
			t.Fatal(err)
		}
		tokens, found := 0, ""
		for i, ids := range text.seqs {
			tokens += len(ids)
			if s := fmt.Sprint(ids, " ", text.types[i]); len(s) > len(found) {
				found = s
			}
			if text.types[i] != nil && len(text.types[i]) != len(ids) {
				t.Errorf("%d tokens, %d types", len(ids), len(text.types[i]))
			}
		}
		t.Log(len(text.seqs), tokens, found)
		if found != want || tokens > 90 || tokens < 70 {
			t.Errorf("%s: %s in %d tokens, want %s in 70 to 90", path, found, tokens, want)
		}
	}
	// Types reach the model: the ranges of its values are others without them.
	ranges := map[string][]format.Activation{}
	for i, line := range []string{`{"text":"the cat","pair":"a dog"}`, `{"ids":[2,6,38,31,17,33,32,3,7,14,34,51,3]}`} {
		out := filepath.Join(dir, fmt.Sprint(i, ".qpt"))
		p, err := MakePlan(Options{In: "../testdata/families/bert-pairs", Scheme: "s8s8", Calib: write("b.jsonl", line), Out: out, References: -1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Run(t.Context(), Hooks{}); err != nil {
			t.Fatal(err)
		}
		p.Close()
		f, err := format.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if ranges[out], err = f.Activations(); err != nil || len(ranges[out]) == 0 {
			t.Fatal(err, len(ranges[out]))
		}
		f.Close()
		if i == 1 && fmt.Sprint(ranges[out]) == fmt.Sprint(ranges[filepath.Join(dir, "0.qpt")]) {
			t.Error("types of tokens change nothing")
		}
	}
}

// TestEncoderActivations: activations of several ops, some of which add a number to what a layer gives, convert as single ones do.
func TestEncoderActivations(t *testing.T) {
	for _, act := range []string{"laplace", "mish", "softplus", "leaky_relu", "gelu_10", "linear"} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("../testdata/families/electra")); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "config.json")
		config, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := regexp.MustCompile(`"hidden_act": "\w+"`).ReplaceAll(config, []byte(`"hidden_act": "`+act+`"`))
		if bytes.Equal(changed, config) {
			t.Fatal("electra has no hidden_act to change")
		}
		if err := os.WriteFile(path, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := MakePlan(Options{In: dir, Scheme: "da8w8", Out: filepath.Join(dir, "m.qpt")})
		if err != nil {
			t.Fatal(act, err)
		}
		if _, err := p.Run(t.Context(), Hooks{}); err != nil {
			t.Errorf("%s: %v", act, err)
		}
		p.Close()
	}
}

// TestOneKind: a classifier that knows one kind of tokens has no pairs among the texts that are converted with it.
func TestOneKind(t *testing.T) {
	const from, table = "../testdata/families/bert", "bert.embeddings.token_type_embeddings.weight"
	c, err := safetensors.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dir := t.TempDir()
	var specs []safetensors.Spec
	for _, name := range c.Names() {
		x, _ := c.Tensor(name)
		spec := safetensors.Spec{Name: name, DType: x.DType, Shape: x.Shape}
		if name == table {
			spec.Shape = []int{1, x.Shape[1]}
		}
		specs = append(specs, spec)
	}
	err = safetensors.WriteSharded(dir, 1, specs, nil, func(s safetensors.Spec, w io.Writer) error {
		x, _ := c.Tensor(s.Name)
		data, err := x.Bytes()
		if err == nil && s.Name == table {
			data = data[:len(data)/2]
		}
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), bytes.Replace(config, []byte(`"type_vocab_size": 2`), []byte(`"type_vocab_size": 1`), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	tok, err := os.ReadFile(filepath.Join(from, "tokenizer.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tokenizer.json"), tok, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := MakePlan(Options{In: dir, Scheme: "da8w8", Out: filepath.Join(dir, "m.qpt")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(t.Context(), Hooks{}); err != nil {
		t.Error(err)
	}
}

// TestNoOwnText: an encoder cannot write the text that a method needs, which is said before anything is done.
func TestNoOwnText(t *testing.T) {
	for _, o := range []Options{{Scheme: "da8w4", Preset: "balanced"}, {Scheme: "s8s8"}, {Scheme: "s8s8", Preset: "balanced"}, {Scheme: "da8w4", Algorithms: "gptq"}} {
		o.In, o.Out = "../testdata/families/bert-sentence", filepath.Join(t.TempDir(), "m.qpt")
		if _, err := MakePlan(o); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "an encoder writes no text") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	p, err := MakePlan(Options{In: "../testdata/families/bert-sentence", Out: filepath.Join(t.TempDir(), "m.qpt"), Scheme: "da8w4"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Sensitivity(t.Context(), SensitivityOptions{}, Hooks{}); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "mixed precision goes by what it does to a language model's predictions: of bert give layers another scheme") {
		t.Errorf("sensitivity: %v", err)
	}
}
