// Command accuracy prints the tables of docs/accuracy.md: it converts a checkpoint
// with every scheme and compares perplexity and predictions with FP32; then it does so with ways to round
// the weights alone, ours and the block formats of llama.cpp.
//
//	go run ./bench/accuracy [--in testdata/stories260K] [--text testdata/text/tinystories_eval.txt] [--calib testdata/text/tinystories_calib.jsonl]
//	go run ./bench/accuracy --tokens 8000 --algorithms "" --algorithms balanced --algorithms gptq,act-order
//
// Protocol: that of qrun eval. The perplexity increase is exp(mean difference
// of NLL) - 1 with the standard error of the paired differences of the windows;
// KL is the mean over all tokens of KL(FP32 || scheme).
package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"qpt/bench/gguf"
	"qpt/bench/synth"
	"qpt/calibrate"
	"qpt/convert"
	"qpt/internal/ui"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/diff"
	"qpt/runtime/lm"
)

func main() {
	in := pflag.String("in", "testdata/stories260K", "checkpoint")
	text := pflag.String("text", "testdata/text/tinystories_eval.txt", "text")
	calib := pflag.String("calib", "testdata/text/tinystories_calib.jsonl", "text to calibrate on")
	algorithms := pflag.StringArray("algorithms", nil, "only da8w4 g32 with this list of algorithms; \"\" rounds to nearest, balanced is the preset (repeatable)")
	tokens := pflag.Int("tokens", 0, "of the text at most; 0: all")
	pflag.Parse()
	os.Exit(ui.Run("accuracy", func(ctx context.Context) error { return run(ctx, *in, *text, *calib, *tokens, *algorithms) }))
}

// variants are the lines of the first table.
var variants = []convert.Options{
	{Scheme: "bf16"},
	{Scheme: "a16w8"},
	{Scheme: "da8w8"},
	{Scheme: "da8w8", Preset: "balanced"},
	{Scheme: "da8w6", Group: 32},
	{Scheme: "da8w6", Group: 32, Preset: "balanced"},
	{Scheme: "s8s8", Preset: "fast"},
	{Scheme: "s8s8", Preset: "balanced"},
	{Scheme: "s8s8", Preset: "balanced", Overrides: []convert.Override{{Match: "down_proj", Scheme: "da8w8"}}},
	{Scheme: "a16w4", Group: 32},
	{Scheme: "a16w4", Group: 32, Preset: "balanced"},
	{Scheme: "da8w4", Group: 16},
	{Scheme: "da8w4", Group: 16, Preset: "balanced"},
	{Scheme: "da8w4", Group: 32},
	{Scheme: "da8w4", Group: 32, Preset: "balanced"},
	{Scheme: "da8w4", Group: 32, Preset: "best"},
	{Scheme: "da8w4", Group: 64},
	{Scheme: "da8w4", Group: 64, Preset: "balanced"},
	{Scheme: "da8w4", Group: 32, Compat: "torchao"},
}

type method struct {
	name  string
	block string
	opt   convert.Options
}

// methods are the lines of the second table: ways to store the weights of the
// layers' linear maps, all else equal. Block formats of llama.cpp are rounded by bench/gguf and run as floats.
var methods = []method{
	{"a16w4 g32, round to nearest with search", "", convert.Options{Scheme: "a16w4", Group: 32}},
	{"a16w4 g32, AWQ (channel scales)", "", convert.Options{Scheme: "a16w4", Group: 32, Preset: "balanced", Algorithms: "scales"}},
	{"a16w4 g32, GPTQ", "", convert.Options{Scheme: "a16w4", Group: 32, Preset: "balanced", Algorithms: "gptq"}},
	{"a16w4 g32, combined: `balanced`", "", convert.Options{Scheme: "a16w4", Group: 32, Preset: "balanced"}},
	{"a16w4 g32, combined: `best`", "", convert.Options{Scheme: "a16w4", Group: 32, Preset: "best"}},
	{"llama.cpp Q4_0", "q4_0", convert.Options{}},
	{"llama.cpp Q4_K", "q4_k", convert.Options{}},
	{"a16w4 g16, `balanced`", "", convert.Options{Scheme: "a16w4", Group: 16, Preset: "balanced"}},
	{"llama.cpp Q4_1", "q4_1", convert.Options{}},
	{"a16w6 g32, round to nearest with search", "", convert.Options{Scheme: "a16w6", Group: 32}},
	{"a16w6 g32, `balanced`", "", convert.Options{Scheme: "a16w6", Group: 32, Preset: "balanced"}},
	{"a16w6 g16, `balanced`", "", convert.Options{Scheme: "a16w6", Group: 16, Preset: "balanced"}},
	{"llama.cpp Q6_K", "q6_k", convert.Options{}},
	{"a16w8, round to nearest with search", "", convert.Options{Scheme: "a16w8"}},
	{"a16w8, `balanced`", "", convert.Options{Scheme: "a16w8", Preset: "balanced"}},
	{"llama.cpp Q8_0", "q8_0", convert.Options{}},
}

// inLayers matches the matrices of the layers, not embedding and output layer.
var (
	inLayers = regexp.MustCompile(`\.layers\..*_proj\.weight$`)
	biases   = regexp.MustCompile(`\.layers\..*_proj\.bias$`)
)

func run(ctx context.Context, in, text, calib string, tokens int, algorithms []string) error {
	dir, err := os.MkdirTemp("", "accuracy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e := eval{dir: dir, calib: calib}
	if err := e.exact(ctx, in, text, tokens); err != nil {
		return err
	}
	if algorithms != nil {
		variants, methods = nil, nil
		for _, list := range algorithms {
			opt := convert.Options{Scheme: "da8w4", Group: 32, Preset: "balanced", Algorithms: list}
			if list == "" || list == "balanced" { // a preset alone
				opt.Preset, opt.Algorithms = list, ""
			}
			methods = append(methods, method{list, "", opt})
		}
	}
	fmt.Printf("%s, %s: %d tokens, FP32 perplexity %.5f\n\n", filepath.Base(in), filepath.Base(text), total(e.tokens), diff.MeanOf(e.nll, e.tokens).Exp().Value)
	if variants != nil {
		fmt.Println("| scheme | preset | group | bits/weight | perplexity | increase | KL (nats) | top-1 agreement |")
		fmt.Println("|---|---|---|---|---|---|---|---|")
	}
	for _, opt := range variants {
		opt.In = in
		r, err := e.of(ctx, opt)
		if err != nil {
			return err
		}
		name, group := opt.Scheme, ""
		if opt.Compat != "" {
			name += " `--compat " + opt.Compat + "`"
		}
		for _, o := range opt.Overrides {
			name += ", " + o.Match + " " + o.Scheme
		}
		if opt.Group > 0 {
			group = fmt.Sprint(opt.Group)
		}
		fmt.Printf("| %s | %s | %s | %.2f | %.4f | %s\n", name, cmp.Or(opt.Preset, "fast"), group, r.fileBits, r.perplexity, r)
	}
	fmt.Println("\n| weights of the layers | bits here | bits at K = 2048 | increase | KL (nats) | top-1 agreement |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, m := range methods {
		opt := m.opt
		opt.In = in
		if m.block != "" {
			opt.In = filepath.Join(dir, m.block)
			err := synth.Rewrite(opt.In, in, func(name string, x []float32, k int) {
				if inLayers.MatchString(name) {
					for row := range slices.Chunk(x, k) {
						gguf.Round(m.block, row)
					}
				}
			})
			if err != nil {
				return err
			}
			opt.Scheme, opt.Overrides = "a16w8", []convert.Override{{Match: inLayers.String(), Scheme: "f32"}}
		}
		r, err := e.of(ctx, opt)
		if err != nil {
			return err
		}
		if m.block != "" {
			r.bits, r.wideBits = e.blockBits(m.block), gguf.Bits(m.block, 2048)
		}
		fmt.Printf("| %s | %.2f | %.2f | %s\n", m.name, r.bits, r.wideBits, r)
	}
	return nil
}

// eval holds what the FP32 model says of a text.
type eval struct {
	dir, calib string
	windows    []window
	want       [][]float32 // logits of each window
	nll        []float64
	tokens     []int
	layers     []convert.Item // the matrices of the layers
}

// exact fills e.
func (e *eval) exact(ctx context.Context, in, text string, tokens int) error {
	data, err := os.ReadFile(text)
	if err != nil {
		return err
	}
	base, items, err := e.load(ctx, convert.Options{In: in, Scheme: "f32"})
	if err != nil {
		return err
	}
	defer base.Close()
	for _, it := range items {
		if inLayers.MatchString(it.Name) {
			e.layers = append(e.layers, it)
		}
	}
	tok, err := base.Tokenizer()
	if err != nil {
		return err
	}
	ids, err := tok.Encode(ctx, string(data), false)
	if err != nil {
		return err
	}
	if tokens > 0 {
		ids = ids[:min(tokens, len(ids))]
	}
	e.windows = cut(ids, base.Meta.Model.Context-1, int32(base.Meta.Model.BOS))
	for _, w := range e.windows {
		logits, err := base.Forward(ctx, w.fed)
		if err != nil {
			return err
		}
		e.want = append(e.want, logits)
		e.nll = append(e.nll, w.score(logits, base.Vocab()))
		e.tokens = append(e.tokens, len(w.ids))
	}
	return nil
}

// result of one conversion. Bits are those of one weight: of all parameters in
// the file, of the layers' matrices, and of a matrix with K = 2048.
type result struct {
	fileBits, bits, wideBits float64
	perplexity               float64
	rise                     diff.Estimate
	kl, top1                 float64
}

// String is the end of a line of both tables.
func (r result) String() string {
	return fmt.Sprintf("%+.2f %% ± %.2f | %.2g | %.2f %% |", 100*(math.Exp(r.rise.Value)-1), 100*r.rise.StdErr, r.kl, 100*r.top1)
}

// of converts with opt and compares the result with FP32.
func (e *eval) of(ctx context.Context, opt convert.Options) (r result, err error) {
	if opt.Preset != "" && (opt.Algorithms == "" || calibrate.NeedText(strings.Split(opt.Algorithms, ","))) {
		opt.Calib = e.calib
	}
	m, items, err := e.load(ctx, opt)
	if err != nil {
		return r, err
	}
	defer m.Close()
	var bytes, layerBytes, values, layerValues int64
	bias := 0.0 // bits of a weight with K = 2048
	for _, it := range items {
		bytes += it.Bytes
		values += it.Values
		switch {
		case biases.MatchString(it.Name):
			layerBytes += it.Bytes
			bias = 32.0 / 2048
		case inLayers.MatchString(it.Name):
			layerBytes += it.Bytes
			layerValues += it.Values
			data, groups, gscale, scale, sum, err := linear.Sizes(linear.Format(it.Format), 2048, 2048, it.Group)
			if err != nil {
				return r, err
			}
			r.wideBits = float64(data+groups+4*(gscale+scale+sum)) * 8 / 2048 / 2048
		}
	}
	r.wideBits += bias
	r.fileBits, r.bits = float64(bytes)*8/float64(values), float64(layerBytes)*8/float64(layerValues)
	var d diff.Logits
	scores, paired := make([]float64, len(e.windows)), make([]float64, len(e.windows))
	for i, w := range e.windows {
		logits, err := m.Forward(ctx, w.fed)
		if err != nil {
			return r, err
		}
		for row := 0; row < len(logits); row += m.Vocab() {
			d.Add(e.want[i][row:row+m.Vocab()], logits[row:row+m.Vocab()])
		}
		scores[i] = w.score(logits, m.Vocab())
		paired[i] = scores[i] - e.nll[i]
	}
	r.perplexity, r.rise = diff.MeanOf(scores, e.tokens).Exp().Value, diff.MeanOf(paired, e.tokens)
	r.kl, r.top1 = d.KL(), d.Top1()
	return r, nil
}

// blockBits is the size of a weight of the layers in a block format.
func (e *eval) blockBits(format string) float64 {
	var bits, values float64
	for _, it := range e.layers {
		bits += gguf.Bits(format, it.Shape[1]) * float64(it.Values)
		values += float64(it.Values)
	}
	return bits / values
}

// load converts with opt and loads the result.
func (e *eval) load(ctx context.Context, opt convert.Options) (*lm.Model, []convert.Item, error) {
	opt.Out = filepath.Join(e.dir, "m.qpt")
	opt.References = -1
	plan, err := convert.MakePlan(opt)
	if err != nil {
		return nil, nil, err
	}
	defer plan.Close()
	if _, err := plan.Run(ctx, convert.Hooks{}); err != nil {
		return nil, nil, err
	}
	m, err := lm.Load(opt.Out, runtime.Options{})
	return m, plan.Items, err
}

// window is one piece of text: what is fed and what is scored.
type window struct{ fed, ids []int32 }

func cut(ids []int32, size int, bos int32) (list []window) {
	for ; len(ids) > 0; ids = ids[min(size, len(ids)):] {
		w := ids[:min(size, len(ids))]
		list = append(list, window{append([]int32{bos}, w[:len(w)-1]...), w})
	}
	return list
}

func total(tokens []int) (n int) {
	for _, t := range tokens {
		n += t
	}
	return n
}

// score is the summed negative log-likelihood of the window.
func (w *window) score(logits []float32, vocab int) (nll float64) {
	for t, id := range w.ids {
		nll += diff.NLL(logits[t*vocab:(t+1)*vocab], id)
	}
	return nll
}
