// Command qrun maps a .qpt file and runs it: accuracy against FP32, speed, text.
//
//	qrun --model model.da8w4.qpt
//	qrun --model model.da8w4.qpt --prompt "Once upon a time"
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"qpt/convert/checkpoint"
	"qpt/format"
	"qpt/internal/cli"
	"qpt/internal/ui"
	"qpt/kernels/attn"
	"qpt/runtime"
	"qpt/runtime/lm"
)

func main() {
	os.Exit(cli.Run(root(), cli.Errors{BadInput: isBadInput, Hint: hint}))
}

// hint is what to do about a bad input file.
func hint(err error) string {
	switch {
	case errors.Is(err, format.ErrMagic):
		return "qrun takes what qconv makes: qconv --in CHECKPOINT --scheme da8w4"
	case errors.Is(err, format.ErrCorrupt):
		return "qconv verify checks a whole file; convert the checkpoint again if it is damaged"
	}
	return ""
}

// errInput marks bad contents of an input file.
var errInput = errors.New("bad input")

// isBadInput says whether an error is about the contents of an input file.
func isBadInput(err error) bool {
	return checkpoint.IsBadInput(err) || errors.Is(err, errInput) || errors.Is(err, format.ErrCorrupt) || errors.Is(err, format.ErrUnsupported)
}

// options are the flags that every subcommand shares.
type options struct {
	cli.Output
	model       string
	load        runtime.Options
	isa, tuning string
}

func (o *options) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	cli.Model(c, f, &o.model)
	f.IntVarP(&o.load.Threads, "threads", "t", 0, "cores to use (default all)")
	f.IntVarP(&o.load.Context, "context", "c", 0, "positions of the KV cache (default the model's, 4096 at most)")
	f.IntVar(&o.load.Batch, "batch", 0, "prompt tokens a pass (default 512)")
	f.StringVar(&o.load.KV, "kv", "", "storage of keys and values, a `TYPE` of f32, bf16, int8 (default bf16, f32 for an f32 model)")
	cli.ISA(f, &o.isa, "")
	f.BoolVar(&o.load.Retune, "tune", false, "measure anew which kernels are fastest on this machine")
	f.StringVar(&o.tuning, "tuning", "", "`FILE` of measured kernel times, or none to choose by rule (default in the user's cache folder)")
	o.Flags(c)
	cli.CompleteWords(c, "kv", "f32", "bf16", "int8")
	cli.CompleteWords(c, "isa", cli.Levels...)
}

// open loads a language model.
func (o *options) open() (*lm.Model, error) {
	opt, err := o.settings()
	if err != nil {
		return nil, err
	}
	return lm.Load(o.model, opt)
}

// settings checks the flags and says how to load the model.
func (o *options) settings() (opt runtime.Options, err error) {
	for _, f := range []struct {
		name       string
		value, max int
	}{{"context", o.load.Context, 1 << 24}, {"batch", o.load.Batch, 1 << 16}} {
		if f.value < 0 || f.value > f.max {
			return opt, fmt.Errorf("%w: --%s %d: must be 1 to %d, or 0 for the default", cli.ErrUsage, f.name, f.value, f.max)
		}
	}
	if o.load.Threads, err = cli.Threads("qrun", o.load.Threads, o.Quiet || o.JSON); err != nil {
		return opt, err
	}
	if o.load.KV != "" {
		if _, err := attn.ParseKV(o.load.KV); err != nil {
			return opt, fmt.Errorf("%w: --kv: %w", cli.ErrUsage, err)
		}
	}
	if err := ui.UseISA(o.isa); err != nil {
		return opt, err
	}
	switch o.tuning {
	case "none":
		if o.load.Retune {
			return opt, fmt.Errorf("%w: --tune and --tuning none contradict each other", cli.ErrUsage)
		}
	case "":
		if dir, err := os.UserCacheDir(); err == nil {
			o.load.Tuning = runtime.TuningPath(filepath.Join(dir, "qpt"))
		}
	default:
		if head := fileHead(o.tuning, len(tuningHead)); head != "" && head != tuningHead {
			return opt, fmt.Errorf("%w: --tuning %s holds something else than measured times: give another name", cli.ErrUsage, o.tuning)
		}
		o.load.Tuning = o.tuning
	}
	return o.load, nil
}

// tuningHead begins a file of measured kernel times, which are written anew as a whole.
const tuningHead = `{"version":`

// fileHead returns the first n bytes of a file, "" if it is empty or not there.
func fileHead(path string, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, n)
	n, _ = io.ReadFull(f, head)
	return string(head[:n])
}

func root() *cobra.Command {
	var o options
	var g generation
	var r reportOptions
	c := &cobra.Command{
		Use:   "qrun --model FILE.qpt",
		Short: "Map a .qpt file and run it",
		Long: `qrun maps a .qpt file and runs it. Without --prompt it reports what was mapped,
the kernels in use, the accuracy against the FP32 results in the file, and the
speed, and writes a short text. With --prompt it writes only the text. When
stdin is a pipe or a file that holds something, and nothing else tells what to
do, that is the prompt.
With --ref it compares every layer with the original checkpoint in FP32.
The limits --max-kl, --min-top1 and --min-sqnr hold in each case. Of an encoder it reports the
cosine of embeddings to FP32's (--min-cosine), of a classifier KL and agreement, and the speed on the texts in the file.`,
		Example: `  qrun --model m.qpt
  qrun --model m.qpt --prompt "Once upon a time" --max-tokens 100
  qrun --model m.qpt --ref Llama-3.2-1B
  qrun run --model m.qpt --input ids.safetensors --output logits.safetensors
  qrun eval --model m.qpt --text story.txt
  qrun diff a.qpt b.qpt --ref Llama-3.2-1B --text story.txt --html report.html`,
		Args: cli.Args(cobra.ArbitraryArgs, ""),
		RunE: func(c *cobra.Command, args []string) error { return runRoot(c, args, &o, &g, &r) },
	}
	o.flags(c)
	g.flags(c)
	r.flags(c)
	c.AddCommand(generateCommand(&o), chatCommand(&o), runCommand(&o), embedCommand(&o), classifyCommand(&o), evalCommand(&o), benchCommand(&o), diffCommand(&o), serveCommand(&o), batchCommand(&o))
	return c
}

// runRoot finds out which of the root command's tasks is meant.
func runRoot(c *cobra.Command, args []string, o *options, g *generation, r *reportOptions) error {
	changed := func(flags ...string) string {
		for _, f := range flags {
			if c.Flags().Changed(f) {
				return "--" + f
			}
		}
		return ""
	}
	text := changed("prompt", "ids")
	report := changed("ref", "kernels", "tune")
	switch {
	case r.kernels && o.model == "" && len(args) == 0:
		if gate := changed(gates...); gate != "" {
			return fmt.Errorf("%w: %s needs a model: which .qpt file?", cli.ErrUsage, gate)
		}
		return runKernels(o)
	case text != "" && (r.ref != "" || r.kernels):
		return fmt.Errorf("%w: %s reports, %s writes a text: give one of them", cli.ErrUsage, report, text)
	case r.ref != "" && r.kernels:
		return fmt.Errorf("%w: give --ref or --kernels, not both", cli.ErrUsage)
	}
	if err := cli.ModelArg(c, args, &o.model); err != nil {
		return err
	}
	if err := g.check(c, o.Quiet); err != nil {
		return err
	}
	given, err := g.read(c, report == "" && changed(gates...) == "")
	switch {
	case err != nil:
		return err
	case r.ref != "":
		return runLockStep(c.Context(), o, r)
	case given || text != "":
		return runPrompt(c.Context(), o, g, &r.limits)
	}
	return runReport(c.Context(), o, g, r)
}
