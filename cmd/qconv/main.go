// Command qconv converts a HuggingFace checkpoint into a quantized, prepacked .qpt file.
//
//	qconv --in model.safetensors --scheme da8w4
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"qpt/calibrate"
	"qpt/convert"
	"qpt/internal/cli"
	"qpt/internal/outfile"
	"qpt/internal/ui"
)

func main() {
	os.Exit(cli.Run(root(), cli.Errors{Usage: []error{convert.ErrUsage}, BadInput: convert.IsBadInput}, outfile.RemoveAll))
}

// output is what every subcommand shares.
type output struct {
	cli.Output
	verbose bool
}

func (o *output) flags(c *cobra.Command) {
	o.Flags(c)
	c.PersistentFlags().BoolVarP(&o.verbose, "verbose", "v", false, "print every tensor")
}

func root() *cobra.Command {
	var out output
	var opt options
	c := &cobra.Command{
		Use:   "qconv --in CHECKPOINT --scheme SCHEME",
		Short: "Quantize a HuggingFace checkpoint into a prepacked .qpt file",
		Long: `qconv reads a HuggingFace checkpoint (model.safetensors, a sharded index or its
folder), quantizes it and writes a .qpt file that qrun maps and runs.

Schemes (activations, weights):
  f32     float32, float32                          reference
  bf16    bfloat16, bfloat16                        baseline
  a16w8   16-bit integers per token, int8           accuracy first
  a16w6   16-bit integers per token, int6 groups    hardly less accurate, a quarter smaller
  a16w4   16-bit integers per token, int4 groups    memory first
  da8w8   int8 per token, int8                      prefill-heavy serving
  da8w6   int8 per token, int6 groups               between da8w8 and da8w4
  da8w4   int8 per token, int4 groups               the default for language models
  s8s8    int8, one range a layer, int8             static: the ranges come from calibration`,
		Example: `  qconv --in Llama-3.2-1B --scheme da8w4
  qconv --in model.safetensors --scheme da8w4 --override 'down_proj=da8w8' --out m.qpt
  qconv --in Llama-3.2-1B --scheme da8w4 --calib text.jsonl --target-bpw 5
  qconv plan --in Llama-3.2-1B --scheme a16w4 --group-size 16`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if opt.Out == "-" {
				return fmt.Errorf("%w: --out -: a .qpt file is not written in one go, so stdout cannot take it: name a file", cli.ErrUsage)
			}
			return runConvert(c.Context(), &opt, &out)
		},
	}
	out.flags(c)
	opt.flags(c)
	c.Flags().StringVarP(&opt.Out, "out", "o", "", "`FILE` to write (default: checkpoint's name and scheme, in the working directory)")
	c.AddCommand(planCommand(&out), recipeCommand(&out), inspectCommand(&out), verifyCommand(&out), repackCommand(&out), familiesCommand(&out), exportCommand())
	return c
}

var noArgs = cli.Args(nil, "the checkpoint is given with --in")

// options are convert.Options as flags.
type options struct {
	convert.Options
	mem, isa  string
	recipe    string
	overrides []string

	target      convert.Target
	size        string  // target.Bytes
	tpot        float64 // target.Seconds, in ms
	sensitivity convert.SensitivityOptions
	maxDrop     cli.Share
}

func (o *options) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&o.In, "in", "i", "", "`CHECKPOINT`: model.safetensors, model.safetensors.index.json, their folder, or a GGUF file")
	f.StringVar(&o.recipe, "recipe", "", "recipe `FILE` (JSON, or YAML if it ends in .yaml or .yml) with what other flags do not say: qconv recipe prints some, qconv plan --recipe-out writes one")
	f.StringVarP(&o.Scheme, "scheme", "s", "", "quantization `SCHEME`: "+strings.Join(convert.Schemes, ", ")+" (default for GGUF files: keep)")
	f.IntVarP(&o.Group, "group-size", "g", 0, "weights a group of the int4 and int6 schemes: 16, 32, 64 or 128 (default 32)")
	f.StringVar(&o.Compat, "compat", "", "give the codes and scales of another `TOOL`: torchao")
	f.StringVar(&o.Inputs, "inputs", "", "keep: what becomes of the inputs of layers, a `RULE` of exact, int16, int8 (a scale a token; faster, less exact) (default as the checkpoint asks)")
	f.StringVar(&o.Include, "include", "", "quantize only linear layers whose name matches this `REGEX`, keep the rest in bf16")
	f.StringVar(&o.Exclude, "exclude", "", "keep linear layers whose name matches this `REGEX` in bf16")
	f.StringArrayVar(&o.overrides, "override", nil, "`REGEX=SCHEME[:GROUP]` for some layers; the first match decides (repeatable)")
	f.Float64Var(&o.target.Bits, "target-bpw", 0, "mixed precision: choose int4 or int6 groups or int8 layer by layer, `BITS` per weight of the whole file at most")
	f.StringVar(&o.size, "target-size", "", "mixed precision: `SIZE` of all tensors at most")
	f.Float64Var(&o.target.KL, "target-kl", 0, "mixed precision: the smallest file whose predicted `KL` from FP32 is at most this, in nats")
	f.Float64Var(&o.tpot, "target-tpot", 0, "mixed precision: `MS` at most for a token's products with matrices, as measured on this machine")
	f.Var(&o.maxDrop, "max-drop", "s8s8 of networks on tensors: the most sensitive layers stay f32 until at most this `SHARE` of the calibration rows changes its class (of results that are no classes: the share of noise in their power): 0.5% or 0.005")
	f.BoolVar(&o.sensitivity.Tables, "mix-tables", false, "mixed precision: the output layer and the embedding table take part")
	f.IntVar(&o.sensitivity.Samples, "sensitivity-samples", 0, "sequences of the calibration text to measure sensitivities on (default 8)")
	f.StringVar(&o.Calib, "calib", "", "`DATA` to calibrate on: .jsonl documents (text, messages, which the chat template writes, or ids), plain text (of an encoder a text a line, in .jsonl also pairs: text and pair), .safetensors of token ids (input_ids [samples, length] and, for padding, attention_mask), or a folder of .jsonl, .txt and .safetensors files")
	f.StringVar(&o.Preset, "preset", "", "`NAME`: fast (weights are not calibrated), balanced or best (default balanced with --calib, else fast); without --calib the model writes its own calibration text")
	f.StringVar(&o.Algorithms, "algorithms", "", "how weights are rounded, instead of the preset's way: `LIST` of "+strings.Join(calibrate.Algorithms, ", ")+" with commas (qconv recipe --help)")
	f.IntVar(&o.CalibSamples, "calib-samples", 0, "calibration sequences at most (default 64, with best 128)")
	f.IntVar(&o.CalibLength, "calib-length", 0, "tokens of a calibration sequence at most (default 256)")
	f.Uint64Var(&o.Seed, "seed", 0, "choice of calibration sequences when there are more, or the model's own text")
	f.StringVar(&o.Observer, "observer", "", "how s8s8 chooses the range of a layer's input, a `NAME` of "+strings.Join(calibrate.Observers, ", ")+" (default "+convert.DefaultObserver+", of encoders of text "+convert.EncoderObserver+")")
	f.BoolVar(&o.Symmetric, "symmetric-activations", false, "s8s8: ranges from -a to a, with the zero point in the middle")
	f.IntVarP(&o.Threads, "threads", "t", 0, "cores to use (default all)")
	f.StringVar(&o.mem, "mem", "1GiB", "`SIZE` of working memory at most")
	f.BoolVar(&o.Resume, "resume", false, "keep calibrated layers in OUT.calibration until the output is complete; an interrupted conversion goes on with them")
	f.BoolVar(&o.Compress, "compress", false, "write the smaller transport form (qconv repack turns it into the mapped one)")
	f.IntVar(&o.References, "references", 0, "FP32 results to embed for accuracy checks (0: 256 of tokens, 32 of whole texts, 64 rows of a network's calibration data; -1: none)")
	cli.ISA(f, &o.isa, " (the file does not depend on it)")
	for flag, words := range map[string][]string{
		"scheme": convert.Schemes, "observer": calibrate.Observers, "preset": convert.Presets, "compat": {"torchao"}, "inputs": convert.KeptInputs, "group-size": {"16", "32", "64", "128"}, "isa": cli.Levels,
	} {
		cli.CompleteWords(c, flag, words...)
	}
	cli.CompleteFiles(c, "recipe", "json", "yaml", "yml")
	cli.CompleteFiles(c, "calib", "jsonl", "txt", "safetensors")
	cli.CompleteFiles(c, "in", "safetensors", "json")
}

// plan checks the flags and makes the plan.
func (o *options) plan(quiet bool) (*convert.Plan, error) {
	if o.In == "" {
		return nil, fmt.Errorf("%w: --in is missing: which checkpoint?", cli.ErrUsage)
	}
	if o.recipe != "" {
		var err error
		if o.Recipe, err = convert.ReadRecipe(o.recipe); err != nil {
			return nil, err
		}
	}
	var err error
	if o.Threads, err = cli.Threads("qconv", o.Threads, quiet); err != nil {
		return nil, err
	}
	if err := ui.UseISA(o.isa); err != nil {
		return nil, err
	}
	if o.Mem, err = cli.ParseSize(o.mem); err != nil {
		return nil, fmt.Errorf("%w: --mem: %w", cli.ErrUsage, err)
	}
	o.Overrides = nil
	for _, s := range o.overrides {
		ov, err := convert.ParseOverride(s)
		if err != nil {
			return nil, err
		}
		o.Overrides = append(o.Overrides, ov)
	}
	if err := o.targets(); err != nil {
		return nil, fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	debug.SetGCPercent(convert.GCPercent) // before the tokenizer is read
	o.Sensitivity = o.Sensitivity || o.target != (convert.Target{})
	plan, err := convert.MakePlan(o.Options)
	if err != nil {
		return nil, err
	}
	if err := outfile.Check(plan.Opt.Out, o.recipe); err != nil {
		plan.Close()
		return nil, err
	}
	return plan, nil
}

// targets checks the flags of mixed precision, and fills target.
func (o *options) targets() (err error) {
	n := 0
	for _, v := range []struct {
		flag  string
		value float64
	}{{"--target-bpw", o.target.Bits}, {"--target-kl", o.target.KL}, {"--target-tpot", o.tpot}} {
		if !(v.value >= 0) || math.IsInf(v.value, 0) {
			return fmt.Errorf("%s %v: must be a positive number", v.flag, v.value)
		}
		if v.value > 0 {
			n++
		}
	}
	if o.size != "" {
		n++
		if o.target.Bytes, err = cli.ParseSize(o.size); err != nil {
			return fmt.Errorf("--target-size: %w", err)
		}
	}
	if n > 1 {
		return fmt.Errorf("give one of --target-bpw, --target-size, --target-kl and --target-tpot")
	}
	if o.sensitivity.Samples < 0 {
		return fmt.Errorf("--sensitivity-samples %d: must be at least 1", o.sensitivity.Samples)
	}
	o.target.Seconds, o.sensitivity.Time = o.tpot/1e3, o.tpot > 0
	return nil
}

func runConvert(ctx context.Context, o *options, out *output) error {
	plan, err := o.plan(out.Quiet || out.JSON)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(plan.Opt.Mem / 32 * 31) // the rest is for what the Go heap does not count
	h, done := hooks(out)
	defer done()
	plan, err = plan.Rotation(ctx, h)
	defer func() { plan.Close() }()
	if err != nil {
		return err
	}
	done()
	if !out.JSON && !out.Quiet {
		for _, w := range plan.Warn {
			ui.Note("qconv", "%s", w)
		}
		if d := plan.Forecast(); d > 10*time.Second {
			ui.Note("qconv", "calibrating takes about %s when nothing else runs", ui.Duration(d))
		}
	}
	var drop *convert.Drop
	if o.maxDrop.Given {
		if plan, drop, err = o.limitDrop(ctx, plan, h); err != nil {
			return err
		}
	}
	mixed, err := o.mix(ctx, plan, h)
	if err != nil {
		return err
	}
	rep, err := plan.Run(ctx, h)
	done()
	if err != nil {
		return err
	}
	if err := mixed.measure(ctx, plan); err != nil {
		return err
	}
	for _, n := range rep.Notes {
		ui.Note("qconv", "%s", n)
	}
	if out.JSON {
		doc := newConvertDoc(plan, rep, mixed)
		doc.Drop = drop
		return cli.Document(doc)
	}
	if err := printReport(plan, rep, mixed, out.verbose); err != nil || drop == nil {
		return err
	}
	_, err = fmt.Fprintf(ui.Stdout, "--max-drop %.3g %%: %d of %d layers stay f32; on %d calibration rows %.3g %% are lost, with all of them in int8 %.3g %%\n",
		100*o.maxDrop.Value, len(drop.Float), drop.Layers, drop.Rows, 100*drop.After, 100*drop.All)
	return err
}

// limitDrop is the plan with the layers in f32 that --max-drop asks for.
func (o *options) limitDrop(ctx context.Context, plan *convert.Plan, h convert.Hooks) (*convert.Plan, *convert.Drop, error) {
	out := plan.Opt.Out
	opt, drop, err := convert.LimitDrop(ctx, o.Options, o.maxDrop.Value, h)
	if err != nil {
		return plan, nil, err
	}
	opt.Out = out
	next, err := convert.MakePlan(opt)
	if err != nil {
		return plan, nil, err
	}
	return next, drop, plan.Close()
}

// hooks show the stages of a conversion as bars; done ends the last.
func hooks(out *output) (h convert.Hooks, done func()) {
	var bar *ui.Progress
	stage := ""
	done = func() {
		bar.Done()
		bar = nil
	}
	return convert.Hooks{
		Stage: func(name string) {
			done()
			stage = name
		},
		Progress: func(n, total int64) {
			if bar == nil {
				bar = ui.NewProgress(out.Verbosity(), map[string]string{"sample": "writing calibration text", "sensitivity": "measuring sensitivity", "calibrate": "calibrating", "observe": "observing activations", "weights": "quantizing"}[stage], total, ui.Count)
			}
			bar.Set(n)
		},
	}, done
}

// row sums up the tensors of one module kind and scheme.
type row struct {
	kind, scheme  string
	group         int
	count         int
	values, bytes int64
	worst, sum    float64
	quantized     int
	reason        string
}

// rows groups the tensors by the last part of their module's name.
func rows(plan *convert.Plan, rep *convert.Report) []*row {
	var list []*row
	for i := range plan.Items {
		it := &plan.Items[i]
		parts := strings.Split(strings.TrimSuffix(it.Name, ".weight"), ".")
		kind := parts[len(parts)-1]
		k := slices.IndexFunc(list, func(r *row) bool {
			return r.kind == kind && r.scheme == it.Scheme && r.group == it.Group && r.reason == it.Reason
		})
		if k < 0 {
			list = append(list, &row{kind: kind, scheme: it.Scheme, group: it.Group, reason: it.Reason})
			k = len(list) - 1
		}
		r := list[k]
		r.count++
		r.values += it.Values
		r.bytes += it.Bytes
		if s := rep.Tensors[i].SQNR; s > 0 {
			if r.quantized == 0 || s < r.worst {
				r.worst = s
			}
			r.sum += s
			r.quantized++
		}
	}
	return list
}

// withGroup names a scheme as --override takes it: SCHEME:GROUP.
func withGroup(scheme string, group int) string {
	if group == 0 {
		return scheme
	}
	return fmt.Sprintf("%s:%d", scheme, group)
}

func printReport(plan *convert.Plan, rep *convert.Report, mixed *mixture, verbose bool) error {
	t := ui.NewTable("module", "count", "scheme", "bits", "size", "SQNR dB", "worst", "why not "+plan.Recipe.Scheme).Notes()
	db := func(v float64, n int) string {
		if n == 0 {
			return "exact"
		}
		return fmt.Sprintf("%.2f", v/float64(n))
	}
	for _, r := range rows(plan, rep) {
		reason := r.reason
		if r.scheme == "f32" && reason == "" && plan.Recipe.Scheme != "f32" {
			reason = "vector"
		}
		t.Row(r.kind, r.count, withGroup(r.scheme, r.group), fmt.Sprintf("%.2f", float64(r.bytes)*8/float64(r.values)), ui.Size(r.bytes), db(r.sum, r.quantized), db(r.worst, min(r.quantized, 1)), reason)
	}
	if err := t.Print(ui.Stdout); err != nil {
		return err
	}
	if c := rep.Calibration; verbose && c != nil {
		fmt.Fprintln(ui.Stdout)
		t := ui.NewTable("calibrated on input of", "tokens", "inputs", "always 0")
		for _, s := range c.Sites {
			t.Row(s.Reader, c.Tokens, s.Inputs, s.Dead)
		}
		if err := t.Print(ui.Stdout); err != nil {
			return err
		}
	}
	if verbose {
		fmt.Fprintln(ui.Stdout)
		t := ui.NewTable("tensor", "shape", "from", "scheme", "bits", "size", "SQNR dB", "reason").Notes()
		for i := range plan.Items {
			it := &plan.Items[i]
			n := 1
			if rep.Tensors[i].SQNR == 0 {
				n = 0
			}
			t.Row(it.Name, fmt.Sprint(it.Shape), it.Source, withGroup(it.Scheme, it.Group), fmt.Sprintf("%.2f", it.Bits()), ui.Size(it.Bytes), db(rep.Tensors[i].SQNR, n), it.Reason)
		}
		if err := t.Print(ui.Stdout); err != nil {
			return err
		}
	}
	fmt.Fprintf(ui.Stdout, "\n%s: %s parameters, %.2f bits per weight, %s, %d rows of FP32 reference\n",
		rep.Out, ui.Count(plan.Values()), float64(plan.Bytes())*8/float64(plan.Values()), ui.Size(rep.FileSize), rep.RefRows)
	if c := rep.Calibration; c != nil {
		source := "text"
		if c.Own {
			source = "text that the model wrote"
		}
		if c.Messages != "" {
			source += " (messages: " + c.Messages + ")"
		}
		fmt.Fprintf(ui.Stdout, "calibrated on %s: %d samples, %d tokens, %d of the vocabulary's %d (%.1f %%)", source, c.Samples, c.Tokens, c.Distinct, c.Vocab, 100*float64(c.Distinct)/float64(c.Vocab))
		if dead, inputs := c.Dead(); dead > 0 {
			fmt.Fprintf(ui.Stdout, ", %d of %d inputs of layers always 0", dead, inputs)
		}
		fmt.Fprintln(ui.Stdout)
	} else if len(plan.Recipe.Calibration.Algorithms) == 0 && rep.RefRows > 0 && slices.ContainsFunc(plan.Items, func(it convert.Item) bool { return strings.HasSuffix(it.Scheme, "w4") }) {
		how := "--calib TEXT calibrates"
		if plan.Writes() {
			how = "--preset balanced calibrates on text that the model writes,\n--calib TEXT on yours"
		}
		fmt.Fprintf(ui.Stdout, "4 bits by rounding to the nearest: %s, which took away half to nine tenths of what 4 bits cost (docs/accuracy.md)\n", how)
	}
	mixed.print()
	fmt.Fprintf(ui.Stdout, "took %s, peak memory %s\n", ui.Duration(ui.Elapsed()), ui.Size(ui.PeakMemory()))
	switch { // of networks on tensors
	case plan.Model.Image != nil && slices.Contains(plan.Model.Graph.Outputs, "last_hidden_state"): // without a head
		fmt.Fprintf(ui.Stdout, "try qrun embed %s PICTURE.jpg\n", rep.Out)
	case plan.Model.Image != nil:
		fmt.Fprintf(ui.Stdout, "try qrun classify %s PICTURE.jpg\n", rep.Out)
	case !slices.Contains(plan.Model.Graph.Symbols, "T"):
		fmt.Fprintf(ui.Stdout, "try qrun run %s --input TENSORS.safetensors\n", rep.Out)
	default:
		fmt.Fprintf(ui.Stdout, "try qrun --model %s\n", rep.Out)
	}
	return nil
}

// convertDoc is the --json document of a conversion.
type convertDoc struct {
	Schema        int         `json:"schema"`
	Command       string      `json:"command"`
	Out           string      `json:"out"`
	Scheme        string      `json:"scheme"`
	Parameters    int64       `json:"parameters"`
	BitsPerWeight float64     `json:"bits_per_weight"`
	FileSize      int64       `json:"file_bytes"`
	ReferenceRows int         `json:"reference_rows"`
	Seconds       float64     `json:"seconds"`
	PeakMemory    int64       `json:"peak_memory_bytes"`
	Warnings      []string    `json:"warnings"`
	Tensors       []tensorDoc `json:"tensors"`

	Mixed       *mixture      `json:"mixed,omitempty"`
	Drop        *convert.Drop `json:"drop,omitempty"`
	Calibration *coverageDoc  `json:"calibration,omitempty"`
}

type coverageDoc struct {
	Own      bool      `json:"own_text"` // the model wrote it
	Messages string    `json:"messages,omitempty"`
	Samples  int       `json:"samples"`
	Tokens   int       `json:"tokens"`
	Distinct int       `json:"distinct_tokens"`
	Vocab    int       `json:"vocabulary"`
	Layers   []siteDoc `json:"layers"`
}

type siteDoc struct {
	Tensor string `json:"tensor"` // the first that reads this input
	Inputs int    `json:"inputs"`
	Dead   int    `json:"always_zero"`
}

type tensorDoc struct {
	Name   string   `json:"name"`
	Shape  []int    `json:"shape"`
	Source string   `json:"source_dtype"`
	Scheme string   `json:"scheme"`
	Group  int      `json:"group,omitempty"`
	Bytes  int64    `json:"bytes"`
	Bits   float64  `json:"bits_per_weight"`
	SQNR   *float64 `json:"weight_sqnr_db,omitempty"`
	Reason string   `json:"reason,omitempty"`
}

func tensorDocs(plan *convert.Plan) []tensorDoc {
	var list []tensorDoc
	for i := range plan.Items {
		it := &plan.Items[i]
		list = append(list, tensorDoc{Name: it.Name, Shape: it.Shape, Source: it.Source, Scheme: it.Scheme, Group: it.Group, Bytes: it.Bytes, Bits: it.Bits(), Reason: it.Reason})
	}
	return list
}

func newConvertDoc(plan *convert.Plan, rep *convert.Report, mixed *mixture) convertDoc {
	d := convertDoc{
		Schema: 1, Command: "convert", Out: rep.Out, Scheme: plan.Recipe.Scheme, Parameters: plan.Values(),
		BitsPerWeight: float64(plan.Bytes()) * 8 / float64(plan.Values()), FileSize: rep.FileSize, ReferenceRows: rep.RefRows,
		Seconds: ui.Elapsed().Seconds(), PeakMemory: ui.PeakMemory(), Warnings: append([]string{}, plan.Warn...), Tensors: tensorDocs(plan), Mixed: mixed,
	}
	if c := rep.Calibration; c != nil {
		d.Calibration = &coverageDoc{c.Own, c.Messages, c.Samples, c.Tokens, c.Distinct, c.Vocab, []siteDoc{}}
		for _, s := range c.Sites {
			d.Calibration.Layers = append(d.Calibration.Layers, siteDoc{s.Reader, s.Inputs, s.Dead})
		}
	}
	for i := range d.Tensors {
		if s := rep.Tensors[i].SQNR; s > 0 {
			d.Tensors[i].SQNR = &s
		}
	}
	return d
}
