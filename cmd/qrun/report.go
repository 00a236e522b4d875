package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"qpt/convert/checkpoint"
	"qpt/convert/stored"
	"qpt/format"
	"qpt/internal/cli"
	"qpt/internal/cpu"
	"qpt/internal/ui"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/compare"
	"qpt/runtime/diff"
	"qpt/runtime/encoder"
	"qpt/runtime/lm"
)

// reportOptions are the flags of the root command's reports.
type reportOptions struct {
	ref     string
	kernels bool
	limits
}

// limits are accuracy thresholds; a miss gives exit code 3.
type limits struct {
	maxKL   cli.Limit
	minTop1 cli.Share
	minSQNR cli.Limit
	minCos  cli.Limit // of vectors
}

// gates are their flags.
var gates = []string{"max-kl", "min-top1", "min-sqnr", "min-cosine"}

func (l *limits) given() bool {
	return l.maxKL.Given || l.minTop1.Given || l.minSQNR.Given || l.minCos.Given
}

func (r *reportOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.ref, "ref", "", "original `CHECKPOINT`: compare every layer with FP32")
	f.BoolVar(&r.kernels, "kernels", false, "list the kernels and which of them run here")
	f.Var(&r.maxKL, "max-kl", "exit 3 if the mean KL divergence from FP32 is greater, in nats")
	f.Var(&r.minTop1, "min-top1", "exit 3 if less than this `SHARE` of the most likely tokens agrees: 95% or 0.95")
	f.Var(&r.minSQNR, "min-sqnr", "exit 3 if the SQNR of the logits or embeddings is less, in dB")
	f.Var(&r.minCos, "min-cosine", "exit 3 if the cosine of an embedding to FP32's is less")
}

// ready says before the work whether the limits are for what a model gives, and its file has results to hold against them.
func (l *limits) ready(m *runtime.Model, path string) error {
	var err error
	switch {
	case isNetwork(m):
		err = l.fitOutputs(m.Graph)
	case encoder.Check(m.Graph) == nil:
		err = l.fit(encoder.Result(m.Graph))
	default:
		err = l.fit("", true)
	}
	if err != nil {
		return err
	}
	if _, err := m.File.Section(format.KindReferences.String()); err != nil && l.given() {
		return fmt.Errorf("no FP32 results in %s to hold against the limits (convert without --references -1, a network with --calib, or use --ref)", path)
	}
	return nil
}

// hold compares a model with the results in its file, if there are limits.
func (l *limits) hold(ctx context.Context, m *lm.Model, path string) error {
	if !l.given() {
		return nil
	}
	if err := l.ready(m.Model, path); err != nil {
		return err
	}
	d, err := compare.Check(ctx, m)
	if err != nil {
		return err
	}
	return l.check(d)
}

// fit says whether the limits are for an output: logits over classes, other logits, or else vectors.
func (l *limits) fit(output string, classes bool) error {
	switch {
	case (classes || output == encoder.Logits) && l.minCos.Given:
		return fmt.Errorf("%w: --min-cosine is for embeddings, these are logits: --max-kl, --min-top1 or --min-sqnr", cli.ErrUsage)
	case !classes && (l.maxKL.Given || l.minTop1.Given):
		return fmt.Errorf("%w: --max-kl and --min-top1 are for logits over classes: --min-cosine or --min-sqnr", cli.ErrUsage)
	}
	return nil
}

// check compares a result with the limits; NaN misses every one.
func (l *limits) check(d *diff.Logits) error {
	var missed []string
	if l.maxKL.Given && !(d.KL() <= l.maxKL.Value) {
		missed = append(missed, fmt.Sprintf("KL %.3g is above %.3g", d.KL(), l.maxKL.Value))
	}
	if l.minTop1.Given && !(d.Top1() >= l.minTop1.Value) {
		missed = append(missed, fmt.Sprintf("top-1 agreement %.2f %% is below %.2f %%", 100*d.Top1(), 100*l.minTop1.Value))
	}
	missed = l.checkTensor(missed, &d.Tensor)
	if math.IsNaN(d.KL()) {
		missed = append(missed, "the logits are not finite")
	}
	return missedError(missed)
}

func (l *limits) checkTensor(missed []string, t *diff.Tensor) []string {
	if l.minSQNR.Given && !(t.SQNR() >= l.minSQNR.Value) {
		missed = append(missed, fmt.Sprintf("SQNR %.2f dB is below %.2f dB", t.SQNR(), l.minSQNR.Value))
	}
	return missed
}

// missedError is what missed limits end with.
func missedError(missed []string) error {
	if missed == nil {
		return nil
	}
	return &ui.ExitError{Code: ui.Threshold, Err: errors.New("accuracy threshold missed: " + strings.Join(missed, "; ")),
		Hint: "more bits for the worst layers may help: qrun --ref CHECKPOINT shows them, qconv --override gives them another scheme"}
}

// accuracyDoc is the JSON form of diff.Logits.
type accuracyDoc struct {
	Tokens int    `json:"tokens"`
	KL     number `json:"kl_mean"`
	KLErr  number `json:"kl_mean_error"`    // two standard errors of what the file leaves out
	KLLow  number `json:"kl_mean_at_least"` // whatever it leaves out; 0 where it leaves out nothing
	KL99   number `json:"kl_p99"`
	KLMax  number `json:"kl_max"`
	Top1   number `json:"top1_agreement"`
	Top5   number `json:"top5_agreement"`

	Perplexity    number `json:"perplexity"` // null where the next tokens are not known
	PerplexityRef number `json:"perplexity_fp32"`
	tensorDoc
}

type tensorDoc struct {
	SQNR   number `json:"sqnr_db"` // null when exact
	Cosine number `json:"cosine"`
	MaxAbs number `json:"max_abs"`
}

// number is null in JSON where it is not finite.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if x := float64(n); math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

func newTensorDoc(t *diff.Tensor) tensorDoc {
	return tensorDoc{number(t.SQNR()), number(t.Cosine()), number(t.MaxAbs())}
}

func newAccuracyDoc(d *diff.Logits) *accuracyDoc {
	ref, got, ok := d.Perplexities()
	if !ok {
		ref, got = math.NaN(), math.NaN()
	}
	return &accuracyDoc{d.Tokens(), number(d.KL()), number(d.KLError()), number(d.KLAtLeast()), number(d.KLQuantile(0.99)), number(d.KLQuantile(1)),
		number(d.Top1()), number(d.Top5()), number(got), number(ref), newTensorDoc(&d.Tensor)}
}

// printAccuracy shows how far predictions are from FP32's; of says what each is of.
func printAccuracy(d *diff.Logits, of string) {
	fmt.Fprintf(ui.Stdout, "  %-19s %d\n", of+" compared", d.Tokens())
	fmt.Fprintf(ui.Stdout, "  top-1 agreement     %.2f %%   (FP32's choice among our top 5: %.2f %%)\n", 100*d.Top1(), 100*d.Top5())
	mean := fmt.Sprintf("%.3g", d.KL())
	if e := d.KLError(); e > 0 { // of the tokens that the file has only a sample of
		mean += fmt.Sprintf(" ± %.1g", e)
	}
	fmt.Fprintf(ui.Stdout, "  KL divergence       %s nats mean, %.3g median, %.3g worst token\n", mean, d.KLQuantile(0.5), d.KLQuantile(1))
	if ref, got, ok := d.Perplexities(); ok {
		fmt.Fprintf(ui.Stdout, "  perplexity          %.4g, FP32 %.4g, on these tokens\n", got, ref)
	}
	fmt.Fprintf(ui.Stdout, "  logits              SQNR %s, max-abs %.3g\n", dB(d.SQNR()), d.MaxAbs())
}

func dB(v float64) string {
	if math.IsInf(v, 1) {
		return "exact"
	}
	return fmt.Sprintf("%.2f dB", v)
}

// kernelUse is one line of the kernels that a model runs.
type kernelUse struct {
	Scheme  string `json:"scheme"`
	Layers  int    `json:"layers"`
	Prefill string `json:"prefill,omitempty"` // of texts
	Decode  string `json:"decode,omitempty"`
}

// kernelsOf lists the schemes of a model's matrices with the kernels they run.
func kernelsOf(m *runtime.Model) []kernelUse {
	var list []kernelUse
	for _, t := range m.Tensors() {
		if t.Format == format.PlainF32 {
			continue
		}
		i := slices.IndexFunc(list, func(u kernelUse) bool { return u.Scheme == t.Scheme })
		if i < 0 {
			u := kernelUse{Scheme: t.Scheme}
			if !isNetwork(m) { // convolutions have kernels of their own
				u.Prefill, u.Decode = m.Kernel(t.Name, 512), m.Kernel(t.Name, 1)
			}
			list = append(list, u)
			i = len(list) - 1
		}
		list[i].Layers++
	}
	return list
}

func runKernels(o *options) error {
	if err := ui.UseISA(o.isa); err != nil {
		return err
	}
	if o.JSON {
		type kernel struct {
			Name string `json:"name"`
			MinM int    `json:"from_rows"`
			Here bool   `json:"runs_here"`
		}
		var list []kernel
		for _, k := range linear.List() {
			list = append(list, kernel{k.Name(), k.MinM, k.Available()})
		}
		return cli.Document(struct {
			Schema  int      `json:"schema"`
			Command string   `json:"command"`
			CPU     string   `json:"cpu"`
			ISA     string   `json:"isa"`
			Kernels []kernel `json:"kernels"`
		}{1, "kernels", cpu.Describe(), cpu.Active().String(), list})
	}
	fmt.Fprintf(ui.Stdout, "machine  %s\n\n", cpu.Describe())
	return printKernels()
}

func printKernels() error {
	t := ui.NewTable("kernel", "from rows", "runs here")
	for _, k := range linear.List() {
		here := "no"
		if k.Available() {
			here = "yes"
		}
		t.Row(k.Name(), strconv.Itoa(k.MinM), here)
	}
	return t.Print(ui.Stdout)
}

// printTuning shows what was measured on the model's shapes: the time of each kernel, and which is chosen.
func printTuning(m *runtime.Model) error {
	list, err := m.Tuning()
	if err != nil {
		ui.Note("qrun", "the measurements are not kept: %v", err)
	}
	if len(list) == 0 {
		fmt.Fprintln(ui.Stdout, "\nno kernels to choose from: one at most is fast here, or --tuning none")
		return nil
	}
	fmt.Fprintln(ui.Stdout, "\nmicroseconds for 16 columns by rows of input, * chosen; more rows as the last")
	header := []string{"weights", "rows", "N x K", "kernel"}
	for _, r := range list[0].Rows {
		header = append(header, strconv.Itoa(r.M))
	}
	t := ui.NewTable(header...)
	for _, s := range list {
		weights := s.Format
		if s.Group > 0 {
			weights += fmt.Sprintf(" g%d", s.Group)
		}
		for _, k := range slices.SortedFunc(slices.Values(s.Rows[0].Kernels), func(a, b linear.TunedKernel) int { return strings.Compare(a.Kernel, b.Kernel) }) {
			row := []any{weights, s.Form, fmt.Sprintf("%d x %d", s.N, s.K), k.Kernel}
			for _, r := range s.Rows {
				cell := "" // not measured
				for i, o := range r.Kernels {
					if o.Kernel == k.Kernel {
						cell = fmt.Sprintf("%.3g", o.US)
						if i == 0 {
							cell += "*"
						}
					}
				}
				row = append(row, cell)
			}
			t.Row(row...)
		}
	}
	return t.Print(ui.Stdout)
}

// bitsPerWeight is the size of the tensors for each of their values.
func bitsPerWeight(m *runtime.Model) float64 {
	var bytes, values int64
	for _, t := range m.Tensors() {
		n := int64(1)
		for _, d := range t.Shape {
			n *= int64(d)
		}
		values += n
		for _, p := range t.Parts {
			bytes += p.Size
		}
	}
	return float64(bytes) * 8 / float64(values)
}

// reportDoc is the part that all kinds of models have in common.
type reportDoc struct {
	Schema  int              `json:"schema"`
	Command string           `json:"command"`
	Model   string           `json:"model"`
	File    int64            `json:"file_bytes"`
	Meta    format.Meta      `json:"meta"`
	Bits    float64          `json:"bits_per_weight"`
	ISA     string           `json:"isa"`
	Threads int              `json:"threads"`
	KV      string           `json:"kv,omitempty"`
	Kernels []kernelUse      `json:"kernels"`
	Tuning  []*linear.Tuning `json:"tuning,omitempty"`
	Check   any              `json:"accuracy"` // null without FP32 results in the file
	Text    *text            `json:"text"`
	Speed   *textSpeed       `json:"speed,omitempty"`
	Passes  []networkPass    `json:"passes,omitempty"` // of a network
}

// runReport is what plain "qrun --model m.qpt" prints.
func runReport(ctx context.Context, o *options, g *generation, r *reportOptions) error {
	opt, err := o.settings()
	if err != nil {
		return err
	}
	m, err := runtime.Load(o.model, opt)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := r.ready(m, o.model); err != nil {
		return err
	}
	var l *lm.Model
	var e *encoder.Model
	doc := &reportDoc{1, "report", o.model, m.File.Size(), m.Meta, bitsPerWeight(m), cpu.Active().String(), m.Threads(), "", kernelsOf(m), nil, nil, nil, nil, nil}
	run := fmt.Sprintf("isa %s, %d threads", cpu.Active(), m.Threads())
	switch {
	case isNetwork(m):
	case encoder.Check(m.Graph) == nil:
		if e, err = encoder.New(m); err != nil {
			return err
		}
		run += fmt.Sprintf(", texts of at most %d tokens", m.Meta.Model.Context)
	default:
		if l, err = lm.New(m, opt.Context); err != nil {
			return err
		}
		doc.KV = m.KV()
		run += fmt.Sprintf(", context %d, KV cache %s", l.Context(), m.KV())
	}
	if o.JSON {
		doc.Tuning, _ = m.Tuning()
	} else if err := doc.print(m, run, r.kernels, o.load.Retune); err != nil {
		return err
	}
	var limits func() error
	switch {
	case e != nil:
		limits, err = reportEncoder(ctx, o, e, r, doc)
	case l != nil:
		limits, err = reportText(ctx, o, l, g, r, doc)
	default:
		limits, err = reportNetwork(ctx, o, m, r, doc)
	}
	if err != nil {
		return err
	}
	if o.JSON {
		if err := cli.Document(doc); err != nil {
			return err
		}
	}
	return limits()
}

// print shows what was mapped and the kernels in use.
func (d *reportDoc) print(m *runtime.Model, run string, kernels, tuning bool) error {
	info := m.Meta.Model
	fmt.Fprintf(ui.Stdout, "model    %s (%s), %s parameters, %.2f bits per weight\n", info.Name, info.Architecture, ui.Count(info.Parameters), d.Bits)
	fmt.Fprintf(ui.Stdout, "file     %s: %s mapped, scheme %s, written by %s\n", d.Model, ui.Size(m.File.Size()), m.Meta.Recipe.Scheme, m.Meta.Tool)
	fmt.Fprintf(ui.Stdout, "machine  %s\n", cpu.Describe())
	fmt.Fprintf(ui.Stdout, "run      %s\n", run)
	for _, u := range d.Kernels {
		if u.Prefill == "" {
			fmt.Fprintf(ui.Stdout, "layers   %-6s %4d\n", u.Scheme, u.Layers)
		} else {
			fmt.Fprintf(ui.Stdout, "kernels  %-6s %4d matrices: prefill %s, decode %s\n", u.Scheme, u.Layers, u.Prefill, u.Decode)
		}
	}
	if kernels {
		fmt.Fprintln(ui.Stdout)
		if err := printKernels(); err != nil {
			return err
		}
	}
	if kernels || tuning {
		if err := printTuning(m); err != nil {
			return err
		}
	}
	fmt.Fprintln(ui.Stdout, "\naccuracy against the FP32 results in the file")
	return nil
}

// noResults says that a file has no FP32 results, and what gives the accuracy then.
func noResults(then string) {
	fmt.Fprintf(ui.Stdout, "  none embedded (converted with --references -1); %s\n", then)
}

// reportText adds a language model's accuracy, speed and a text, and returns what holds the accuracy against the limits.
func reportText(ctx context.Context, o *options, m *lm.Model, g *generation, r *reportOptions, doc *reportDoc) (limits func() error, err error) {
	d, err := compare.Check(ctx, m)
	switch {
	case err == nil:
		doc.Check = newAccuracyDoc(d)
		limits = func() error { return r.limits.check(d) }
		if !o.JSON {
			printAccuracy(d, "tokens")
		}
	case errors.Is(err, format.ErrMissing):
		limits = func() error { return nil }
		if !o.JSON {
			noResults("qrun --ref CHECKPOINT compares with the original")
		}
	default:
		return nil, err
	}
	broken := d != nil && math.IsNaN(d.KL()) // no token could be chosen
	tok, err := m.Tokenizer()
	if err != nil || broken {
		return limits, nil
	}
	const prompt = "Once upon a time"
	opt := g.opt
	if opt.MaxTokens == 256 {
		opt.MaxTokens = 64
	}
	ids, err := tok.Encode(ctx, prompt, true)
	if err != nil {
		return nil, err
	}
	if doc.Text, err = timeText(ctx, m, ids, opt, func(lm.Token) error { return nil }); err != nil {
		return nil, err
	}
	if !o.JSON {
		fmt.Fprintf(ui.Stdout, "\nspeed    %s\n", doc.Text)
		fmt.Fprintf(ui.Stdout, "text     %s%s\n", prompt, doc.Text.Text)
	}
	return limits, nil
}

// How much text --ref compares: of a language model and of an encoder, whose texts are short.
const (
	lockStepTokens = 64
	encoderTokens  = 512
)

// runLockStep compares every node with the original checkpoint.
func runLockStep(ctx context.Context, o *options, r *reportOptions) error {
	opt, err := o.settings()
	if err != nil {
		return err
	}
	loaded, err := runtime.Load(o.model, opt)
	if err != nil {
		return err
	}
	defer loaded.Close()
	if encoder.Check(loaded.Graph) == nil {
		d := &diffOptions{options: o, ref: r.ref, tokens: encoderTokens}
		return d.runTexts(ctx, []string{o.model}, []*runtime.Model{loaded}, r.limits)
	}
	if err := r.fit("", true); err != nil {
		return err
	}
	m, err := lm.New(loaded, opt.Context)
	if err != nil {
		return err
	}
	ckpt, err := checkpoint.Weights(r.ref)
	if err != nil {
		return err
	}
	defer ckpt.Close()
	if err := isOriginal(m.Model, ckpt, r.ref); err != nil {
		return err
	}
	seqs, err := lockStepSeqs(m)
	if err != nil {
		return err
	}
	all, err := compare.RunLockStep(ctx, []*lm.Model{m}, ckpt, seqs, compare.LockStepOptions{})
	if err != nil {
		return err
	}
	res := all[0]
	if o.JSON {
		type node struct {
			Name       string    `json:"name"`
			Op         string    `json:"op"`
			Scheme     string    `json:"scheme,omitempty"`
			Local      tensorDoc `json:"local"`
			Cumulative tensorDoc `json:"cumulative"`
		}
		var nodes []node
		for i := range res.Nodes {
			n := &res.Nodes[i]
			nodes = append(nodes, node{n.Node.Name, n.Node.Op.Kind(), n.Scheme, newTensorDoc(&n.Local), newTensorDoc(&n.Cumulative)})
		}
		if err := cli.Document(struct {
			Schema  int          `json:"schema"`
			Command string       `json:"command"`
			Model   string       `json:"model"`
			Ref     string       `json:"ref"`
			Nodes   []node       `json:"nodes"`
			Logits  *accuracyDoc `json:"logits"`
		}{1, "ref", o.model, r.ref, nodes, newAccuracyDoc(&res.Logits)}); err != nil {
			return err
		}
		return r.limits.check(&res.Logits)
	}
	t := ui.NewTable("layer", "op", "scheme", "local SQNR", "cumulative SQNR", "cosine", "max-abs")
	for i := range res.Nodes {
		n := &res.Nodes[i]
		t.Row(n.Node.Name, n.Node.Op.Kind(), n.Scheme, dB(n.Local.SQNR()), dB(n.Cumulative.SQNR()), fmt.Sprintf("%.6f", n.Cumulative.Cosine()), fmt.Sprintf("%.3g", n.Cumulative.MaxAbs()))
	}
	if err := t.Print(ui.Stdout); err != nil {
		return err
	}
	fmt.Fprintf(ui.Stdout, "\nlocal: the layer alone, on FP32 inputs; cumulative, cosine and max-abs: within the quantized run\n\nlogits against FP32\n")
	printAccuracy(&res.Logits, "tokens")
	return r.limits.check(&res.Logits)
}

// isOriginal refuses a checkpoint that is not the one that the file was made from.
func isOriginal(m *runtime.Model, ckpt *stored.Checkpoint, dir string) error {
	_, err := compare.Original(m, func(name string) []int {
		if t, ok := ckpt.Tensor(name); ok {
			return t.Shape
		}
		return nil
	})
	if err != nil {
		return &ui.ExitError{Code: ui.BadInput, Err: fmt.Errorf("%s is not the checkpoint of this file: %w", filepath.Clean(dir), err),
			Hint: "--ref takes the checkpoint that the file was converted from, one for all files"}
	}
	return nil
}

// lockStepSeqs are the beginnings of the embedded texts, lockStepTokens in all, or any tokens.
func lockStepSeqs(m *lm.Model) ([][]int32, error) {
	refs, err := m.File.References()
	if err != nil && !errors.Is(err, format.ErrMissing) {
		return nil, err
	}
	var seqs [][]int32
	for left, i := lockStepTokens, 0; i < len(refs.Cases) && left > 0; i++ {
		ids := refs.Cases[i].Tokens
		ids = ids[:min(len(ids), lockStepTokens/2, left)]
		seqs, left = append(seqs, ids), left-len(ids)
	}
	if seqs == nil {
		ids := make([]int32, min(lockStepTokens, m.Context()))
		for i := range ids {
			ids[i] = int32((i*104729 + 1) % m.Vocab())
		}
		seqs = [][]int32{ids}
	}
	return seqs, nil
}
