// Command accuracy prints the README's accuracy table: it converts a checkpoint
// with every scheme and compares perplexity and predictions with FP32.
//
//	go run ./internal/accuracy [--in testdata/stories260K] [--text testdata/text/tinystories_eval.txt] [--calib testdata/text/tinystories_calib.jsonl]
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

	"github.com/spf13/pflag"

	"qpt/convert"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/diff"
)

func main() {
	in := pflag.String("in", "testdata/stories260K", "checkpoint")
	text := pflag.String("text", "testdata/text/tinystories_eval.txt", "text")
	calib := pflag.String("calib", "testdata/text/tinystories_calib.jsonl", "text to calibrate on")
	pflag.Parse()
	os.Exit(ui.Run("accuracy", func(ctx context.Context) error { return run(ctx, *in, *text, *calib) }))
}

// variants are the lines of the table.
var variants = []convert.Options{
	{Scheme: "bf16"},
	{Scheme: "a16w8"},
	{Scheme: "da8w8"},
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

func run(ctx context.Context, in, text, calib string) error {
	dir, err := os.MkdirTemp("", "accuracy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	data, err := os.ReadFile(text)
	if err != nil {
		return err
	}
	base, _, err := load(ctx, convert.Options{In: in, Scheme: "f32"}, dir)
	if err != nil {
		return err
	}
	defer base.Close()
	tok, err := base.Tokenizer()
	if err != nil {
		return err
	}
	windows := cut(tok.Encode(string(data), false), base.Meta.Model.Context-1, int32(base.Meta.Model.BOS))
	want := make([][]float32, len(windows)) // logits of each window
	nll := make([]float64, len(windows))
	tokens := make([]int, len(windows))
	for i, w := range windows {
		if want[i], err = base.Forward(ctx, w.fed); err != nil {
			return err
		}
		nll[i] = w.score(want[i], base.Vocab())
		tokens[i] = len(w.ids)
	}
	fmt.Printf("%s, %s: %d tokens, FP32 perplexity %.5f\n\n", filepath.Base(in), filepath.Base(text), total(tokens), diff.MeanOf(nll, tokens).Exp().Value)
	fmt.Println("| scheme | preset | group | bits/weight | perplexity | increase | KL (nats) | top-1 agreement |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, opt := range variants {
		opt.In = in
		if opt.Preset != "" {
			opt.Calib = calib
		}
		m, bits, err := load(ctx, opt, dir)
		if err != nil {
			return err
		}
		var d diff.Logits
		scores, paired := make([]float64, len(windows)), make([]float64, len(windows))
		for i, w := range windows {
			logits, err := m.Forward(ctx, w.fed)
			if err != nil {
				return err
			}
			for r := 0; r < len(logits); r += m.Vocab() {
				d.Add(want[i][r:r+m.Vocab()], logits[r:r+m.Vocab()])
			}
			scores[i] = w.score(logits, m.Vocab())
			paired[i] = scores[i] - nll[i]
		}
		m.Close()
		rise := diff.MeanOf(paired, tokens)
		name, group := opt.Scheme, ""
		if opt.Compat != "" {
			name += " `--compat " + opt.Compat + "`"
		}
		if opt.Group > 0 {
			group = fmt.Sprint(opt.Group)
		}
		fmt.Printf("| %s | %s | %s | %.2f | %.4f | %+.2f %% ± %.2f | %.2g | %.2f %% |\n", name, cmp.Or(opt.Preset, "fast"), group, bits,
			diff.MeanOf(scores, tokens).Exp().Value, 100*(math.Exp(rise.Value)-1), 100*rise.StdErr, d.KL(), 100*d.Top1())
	}
	return nil
}

// load converts with opt and loads the result; bits is the size of a weight of a linear layer.
func load(ctx context.Context, opt convert.Options, dir string) (*runtime.Model, float64, error) {
	opt.Out = filepath.Join(dir, "m.qpt")
	opt.References = -1
	plan, err := convert.MakePlan(opt)
	if err != nil {
		return nil, 0, err
	}
	defer plan.Close()
	if _, err := plan.Run(ctx, convert.Hooks{}); err != nil {
		return nil, 0, err
	}
	m, err := runtime.Load(opt.Out, runtime.Options{})
	return m, float64(plan.Bytes()) * 8 / float64(plan.Values()), err
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
