package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"qpt/convert/checkpoint"
	"qpt/internal/cli"
	"qpt/internal/cpu"
	"qpt/internal/outfile"
	"qpt/internal/report"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/diff"
	"qpt/runtime/lm"
)

// diffOptions are the flags of "qrun diff".
type diffOptions struct {
	*options
	ref, text, html string
	tokens          int
	window          int
	worst           int
	speed           bool
	maxKL           cli.Limit
	minTop1         cli.Share
	maxIncrease     cli.Share
	minCos          cli.Limit // of encoders
}

func diffCommand(o *options) *cobra.Command {
	d := &diffOptions{options: o, maxIncrease: cli.Share{Growth: true}}
	c := &cobra.Command{
		Use:   "diff FILE.qpt... --ref CHECKPOINT",
		Short: "Compare files with the original in FP32, layer by layer and token by token",
		Long: `diff runs the original checkpoint in FP32 and the quantized files side by side on
the same text: SQNR of every layer, alone and within the run; KL divergence and
agreement of the predictions; perplexity with its paired difference; the tokens
that differ most. FP32 runs once for all files; it is slow, so --tokens bounds
the text. The text is cut as by qrun eval; without --text the prompts in the
file are compared. --html writes a page of its own, --json the same as data on stdout.

Of networks on pictures or tensors each file is compared with the FP32 results in it, of rows of its calibration data.
qrun eval --images PATH --against F32.qpt compares on other pictures.

Of encoders --text is texts, a line each, or .jsonl with "text" (and "pair"): cosines of their embeddings,
or differences of their logits, the texts that differ most, and the layers. Without --ref the FP32 results
in each file are compared with, without layers.

The same inputs give the same report, unless the speed is measured (--speed,
the default for several files).`,
		Example: `  qrun diff m.qpt --ref Llama-3.2-1B --text story.txt --html report.html
  qrun diff m.da8w4.qpt m.a16w8.qpt --ref Llama-3.2-1B --text story.txt --html report.html --json > report.json
  qrun diff m.qpt --ref Llama-3.2-1B --text story.txt --max-kl 0.05 --max-ppl-increase 2%
  qrun diff minilm.qpt --ref all-MiniLM-L6-v2 --text lines.txt --min-cosine 0.995`,
		RunE: func(c *cobra.Command, args []string) error {
			if o.model != "" {
				args = append([]string{o.model}, args...)
			}
			switch {
			case len(args) == 0:
				return fmt.Errorf("%w: which .qpt files?", cli.ErrUsage)
			case d.tokens < 1:
				return fmt.Errorf("%w: --tokens %d: must be 1 or more", cli.ErrUsage, d.tokens)
			case d.window < 0:
				return fmt.Errorf("%w: --window %d: must not be negative", cli.ErrUsage, d.window)
			case d.worst < 0:
				return fmt.Errorf("%w: --worst %d: must not be negative", cli.ErrUsage, d.worst)
			case d.html == "-" && d.JSON:
				return fmt.Errorf("%w: --html - and --json both write to stdout: give the page a file", cli.ErrUsage)
			}
			if !c.Flags().Changed("speed") {
				d.speed = len(args) > 1
			}
			models, kind, end, err := d.openAll(args)
			if err != nil {
				return err
			}
			defer end()
			l := limits{maxKL: d.maxKL, minTop1: d.minTop1, minCos: d.minCos}
			switch {
			case kind == network:
				return d.runNetworks(c, args, models, l)
			case kind == textEncoder:
				if err := d.checkTexts(c, args[0]); err != nil {
					return err
				}
				return d.runTexts(c.Context(), args, models, l)
			case d.minCos.Given:
				return fmt.Errorf("%w: --min-cosine is for embeddings, %s gives logits: --max-kl or --min-top1", cli.ErrUsage, args[0])
			case d.ref == "":
				return fmt.Errorf("%w: --ref is missing: which checkpoint were the files made from? (qrun FILE.qpt compares with the FP32 results in the file)", cli.ErrUsage)
			}
			return d.run(c.Context(), args, models)
		},
	}
	f := c.Flags()
	cli.CompleteFiles(c, "", "qpt")
	f.StringVar(&d.ref, "ref", "", "original `CHECKPOINT`")
	f.StringVar(&d.text, "text", "", "text `FILE`, or .jsonl documents (default the prompts in the file)")
	f.StringVar(&d.html, "html", "", "write the report as a page to `FILE`, - for stdout")
	f.IntVar(&d.tokens, "tokens", 2048, "tokens to compare at most")
	f.IntVar(&d.window, "window", 0, "tokens a window (default 256 or the model's context less one)")
	f.IntVar(&d.worst, "worst", 12, "tokens to show that differ most")
	f.BoolVar(&d.speed, "speed", false, "measure how fast tokens are decoded (default with several files)")
	f.Var(&d.maxKL, "max-kl", "exit 3 if the mean KL divergence from FP32 is greater, in nats")
	f.Var(&d.minTop1, "min-top1", "exit 3 if less than this `SHARE` of the most likely tokens agrees: 95% or 0.95")
	f.Var(&d.minCos, "min-cosine", "exit 3 if the cosine of an embedding to FP32's is less")
	f.Var(&d.maxIncrease, "max-ppl-increase", "exit 3 if the perplexity grows by more than this `SHARE`: 2% or 0.02")
	return c
}

// material is what the models read.
type material struct {
	fed  [][]int32 // sequences
	want [][]int32 // what they are to predict, nil without a text
	text report.Text
}

// target is the token that follows position pos of a sequence, if known.
func (t *material) target(seq, pos int) (int32, bool) {
	if t.want != nil {
		return t.want[seq][pos], true
	}
	if pos+1 < len(t.fed[seq]) {
		return t.fed[seq][pos+1], true
	}
	return 0, false
}

// material reads the text, or takes the prompts in the file.
func (d *diffOptions) material(ctx context.Context, m *lm.Model) (*material, error) {
	t := &material{}
	if d.text == "" {
		seqs, err := lockStepSeqs(m)
		if err != nil {
			return nil, err
		}
		t.text.Source = "the prompts in the file"
		if _, err := m.File.References(); err != nil {
			t.text.Source = "arbitrary tokens (no text, and no prompts in the file)"
		}
		t.fed = take(seqs, d.tokens)
		t.text.Available = count(seqs)
	} else {
		docs, protocol, err := readDocs(ctx, m, d.text)
		if err != nil {
			return nil, err
		}
		if count(docs) == 0 {
			return nil, fmt.Errorf("%w: %s: no text to score", errInput, d.text)
		}
		window := d.window
		if window == 0 {
			window = 256
			if n := m.Meta.Model.Context - 1; n > 0 {
				window = min(n, window)
			}
		}
		t.text.Source, t.text.Available = filepath.Base(d.text)+" ("+protocol+")", count(docs)
		pieces, err := m.Pieces(take(docs, d.tokens), window)
		if err != nil {
			return nil, err
		}
		for _, p := range pieces {
			t.fed, t.want = append(t.fed, p.Fed), append(t.want, p.Want)
		}
	}
	t.text.Tokens, t.text.Windows = count(t.fed), len(t.fed)
	for _, ids := range t.fed {
		t.text.Window = max(t.text.Window, len(ids))
	}
	return t, nil
}

// take returns the first n tokens.
func take(docs [][]int32, n int) (list [][]int32) {
	for _, ids := range docs {
		if ids = ids[:min(n, len(ids))]; len(ids) > 0 {
			list = append(list, ids)
			n -= len(ids)
		}
	}
	return list
}

func count(docs [][]int32) (n int) {
	for _, ids := range docs {
		n += len(ids)
	}
	return n
}

// scores are what one model says about the text.
type scores struct {
	sums  []float64   // NLL of each window
	count []int       // tokens of each window that count in it
	nll   [][]float64 // of each token, 0 where the text ends
	worst diff.Worst
}

func newScores(t *material, worst int) *scores {
	s := &scores{sums: make([]float64, len(t.fed)), count: make([]int, len(t.fed)), nll: make([][]float64, len(t.fed)), worst: diff.Worst{N: worst, Choices: 4}}
	for i, ids := range t.fed {
		s.nll[i] = make([]float64, len(ids))
	}
	return s
}

func (s *scores) add(t *material, seq, pos int, logits []float32) {
	if id, ok := t.target(seq, pos); ok {
		n := diff.NLL(logits, id)
		s.nll[seq][pos] = n
		s.sums[seq] += n
		s.count[seq]++
	}
}

func (d *diffOptions) run(ctx context.Context, paths []string, loaded []*runtime.Model) error {
	if err := outfile.Check(d.html, append([]string{d.ref, d.text}, paths...)...); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	if err := writable(d.html); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	var models []*lm.Model
	for _, r := range loaded {
		m, err := lm.New(r, d.load.Context)
		if err != nil {
			return err
		}
		models = append(models, m)
	}
	ckpt, err := checkpoint.Weights(d.ref)
	if err != nil {
		return fmt.Errorf("--ref: %w", err)
	}
	defer ckpt.Close()
	for i, m := range models {
		if err := isOriginal(m.Model, ckpt, d.ref); err != nil {
			return fmt.Errorf("%s: %w", paths[i], err)
		}
	}
	text, err := d.material(ctx, models[0])
	if err != nil {
		return err
	}
	fp32 := newScores(text, 0)
	var each []*scores
	for range models {
		each = append(each, newScores(text, d.worst))
	}
	if text.text.Few() {
		ui.Note("qrun", "%d tokens are too few to judge a model: --text with some thousand would tell more", text.text.Tokens)
	}
	bar := ui.NewProgress(d.Verbosity(), "comparing", int64(len(text.fed)*len(models[0].Graph.Nodes)), ui.Count)
	steps, err := compare.RunLockStep(ctx, models, ckpt, text.fed, compare.LockStepOptions{
		Progress: func(done, _ int) { bar.Set(int64(done)) },
		Logits: func(seq, pos int, want []float32, got [][]float32, kl []float64) {
			fp32.add(text, seq, pos, want)
			for i, s := range each {
				s.add(text, seq, pos, got[i])
				s.worst.Add(seq, pos, kl[i], want, got[i])
			}
		},
	})
	bar.Done()
	if err != nil {
		return err
	}
	info := models[0].Meta.Model
	doc := &report.Doc{
		Schema: 1, Command: "diff", Tool: "qrun " + cli.Version(), Text: text.text,
		Reference: report.Reference{Name: info.Name, Architecture: info.Architecture, Parameters: info.Parameters, Vocab: models[0].Vocab(), Path: d.ref},
	}
	doc.FP32 = estimate(diff.MeanOf(fp32.sums, fp32.count).Exp())
	for i, m := range models {
		x := newModelDoc(paths[i], m, steps[i])
		x.Perplexity = estimate(diff.MeanOf(each[i].sums, fp32.count).Exp())
		paired := slices.Clone(each[i].sums)
		for w := range paired {
			paired[w] -= fp32.sums[w]
		}
		rise := diff.MeanOf(paired, fp32.count).Exp()
		x.Increase = &report.Estimate{Value: report.Number(rise.Value - 1), StdErr: report.Number(rise.StdErr)}
		weights, err := steps[i].Weights(ckpt)
		if err != nil {
			return err
		}
		addWeights(x, weights, steps[i])
		x.WorstTokens = tokenDocs(models[0], text, fp32, each[i])
		d.check(x)
		doc.Models = append(doc.Models, x)
	}
	if d.speed {
		speeds, err := decodeSpeeds(ctx, models)
		if err != nil {
			return err
		}
		for i := range speeds {
			doc.Models[i].Speed = &speeds[i]
		}
	}
	return d.write(doc)
}

func estimate(e diff.Estimate) *report.Estimate {
	return &report.Estimate{Value: report.Number(e.Value), StdErr: report.Number(e.StdErr)}
}

// check holds a model against the limits.
func (d *diffOptions) check(m *report.Model) {
	m.Limits = []report.Limit{}
	for _, l := range []struct {
		name      string
		got       report.Number
		want      cli.Limit
		direction float64
	}{{"mean KL", m.KL.Mean, d.maxKL, 1}, {"top-1 agreement", m.Top1, d.minTop1.Limit, -1}, {"perplexity increase", m.Increase.Value, d.maxIncrease.Limit, 1}} {
		if l.want.Given { // NaN misses
			m.Limits = append(m.Limits, report.Limit{Name: l.name, Want: report.Number(l.want.Value), Got: l.got, OK: float64(l.got)*l.direction <= l.want.Value*l.direction})
		}
	}
}

// writable finds out before the long run whether a file can be written; it leaves none behind.
func writable(path string) error {
	if path == "" || path == "-" {
		return nil
	}
	_, err := os.Lstat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if fresh {
		return os.Remove(path)
	}
	return nil
}

// page writes the page to where --html says, if it does.
func (d *diffOptions) page(write func(io.Writer) error) error {
	if d.html == "" {
		return nil
	}
	var page bytes.Buffer
	if err := write(&page); err != nil {
		return err
	}
	if d.html == "-" {
		_, err := ui.Stdout.Write(page.Bytes())
		return err
	}
	return os.WriteFile(d.html, page.Bytes(), 0o666)
}

// write prints the document in the forms that were asked for, and says which limits were missed.
func (d *diffOptions) write(doc *report.Doc) error {
	err := d.page(func(w io.Writer) error { return report.HTML(w, doc) })
	if err != nil {
		return err
	}
	switch {
	case d.JSON:
		err = cli.Document(doc)
	case d.html != "-":
		err = printDiff(doc)
	}
	if err != nil {
		return err
	}
	var missed []string
	broken := math.IsNaN(float64(doc.FP32.Value))
	if broken {
		missed = append(missed, "the original's logits are not finite")
	}
	names := doc.Names()
	for i, m := range doc.Models {
		if !broken && math.IsNaN(float64(m.KL.Mean)) {
			missed = append(missed, names[i]+": the logits are not finite")
		}
		for _, l := range m.Limits {
			if !l.OK {
				missed = append(missed, fmt.Sprintf("%s: %s %.4g, limit %.4g", names[i], l.Name, float64(l.Got), float64(l.Want)))
			}
		}
	}
	if missed == nil {
		return nil
	}
	hint := "more bits for the worst layers may help: the report shows them, qconv --override gives them another scheme"
	if broken {
		hint = "the checkpoint itself is broken, or too large for FP32"
	}
	return &ui.ExitError{Code: ui.Threshold, Err: errors.New("accuracy threshold missed: " + strings.Join(missed, "; ")), Hint: hint}
}

// The speed is measured on as many tokens, again until so much time is over.
const (
	decodeTokens = 32
	decodeTime   = 50 * time.Millisecond
)

// decodeSpeeds are the medians of five rounds, in each of which every model has
// its turn, so that a machine that is busy for a while slows them all.
func decodeSpeeds(ctx context.Context, models []*lm.Model) ([]report.Number, error) {
	rates := make([][]float64, len(models))
	for round := range 6 { // the first warms up
		for i, m := range models {
			r, err := decodeRate(ctx, m)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				rates[i] = append(rates[i], r)
			}
		}
	}
	var list []report.Number
	for _, r := range rates {
		slices.Sort(r)
		list = append(list, report.Number(r[len(r)/2]))
	}
	return list, nil
}

// decodeRate is how many tokens a model decodes in a second, one after the other.
func decodeRate(ctx context.Context, m *lm.Model) (float64, error) {
	s, err := m.NewSession()
	if err != nil {
		return 0, err
	}
	n := 0
	start := time.Now()
	for n == 0 || time.Since(start) < decodeTime {
		s.Truncate(0)
		for t := range min(decodeTokens, m.Context()) {
			if _, err := s.Append(ctx, []int32{int32((t*104729 + 1) % m.Vocab())}); err != nil {
				return 0, err
			}
			n++
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// settings tell how a file was made and how it was run.
func settings(m *runtime.Model, kv string) []report.Setting {
	var list []report.Setting
	for _, o := range m.Meta.Recipe.Settings() {
		list = append(list, report.Setting{Name: o.Name, Value: o.Value})
	}
	if c := m.Meta.Calibration; c != "" {
		list = append(list, report.Setting{Name: "calibration data", Value: "SHA-256 " + c})
	}
	for _, s := range m.Meta.Sources {
		list = append(list, report.Setting{Name: "source", Value: fmt.Sprintf("%s, %s, SHA-256 %s", s.Name, ui.Size(s.Size), s.SHA256)})
	}
	for _, u := range kernelsOf(m) {
		if u.Prefill == "" {
			list = append(list, report.Setting{Name: "layers", Value: fmt.Sprintf("%s, %d", u.Scheme, u.Layers)})
			continue
		}
		list = append(list, report.Setting{Name: "kernels", Value: fmt.Sprintf("%s, %d matrices: prefill %s, decode %s", u.Scheme, u.Layers, u.Prefill, u.Decode)})
	}
	run := "isa " + cpu.Active().String()
	if kv != "" {
		run += ", KV cache " + kv
	}
	return append(list, report.Setting{Name: "run", Value: run})
}
