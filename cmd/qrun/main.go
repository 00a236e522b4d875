// Command qrun maps a .qpt file and runs it: accuracy against FP32, speed, text.
//
//	qrun --model model.da8w4.qpt
//	qrun --model model.da8w4.qpt --prompt "Once upon a time"
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"qpt/convert/safetensors"
	"qpt/format"
	"qpt/internal/cli"
	"qpt/internal/ui"
	"qpt/kernels/attn"
	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/sample"
)

func main() {
	os.Exit(cli.Run(root(), cli.Errors{BadInput: isBadInput, Hint: "qconv verify checks a whole file; convert the checkpoint again if it is damaged"}))
}

// errInput marks bad contents of an input file.
var errInput = errors.New("bad input")

// isBadInput says whether an error is about the contents of an input file.
func isBadInput(err error) bool {
	for _, bad := range []error{errInput, format.ErrCorrupt, format.ErrUnsupported, safetensors.ErrCorrupt} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
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
	f.StringVarP(&o.model, "model", "m", "", ".qpt `FILE`")
	f.IntVarP(&o.load.Threads, "threads", "t", 0, "cores to use (default all)")
	f.IntVarP(&o.load.Context, "context", "c", 0, "positions of the KV cache (default the model's, 4096 at most)")
	f.IntVar(&o.load.Batch, "batch", 0, "prompt tokens a pass (default 512)")
	f.StringVar(&o.load.KV, "kv", "", "storage of keys and values, a `TYPE` of f32, bf16, int8 (default bf16, f32 for an f32 model)")
	cli.ISA(f, &o.isa, "")
	f.BoolVar(&o.load.Retune, "tune", false, "measure anew which kernels are fastest on this machine")
	f.StringVar(&o.tuning, "tuning", "", "`FILE` of measured kernel times, or none to choose by rule (default in the user's cache folder)")
	o.Flags(c)
}

// open loads the model that --model names.
func (o *options) open() (*lm.Model, error) {
	if o.model == "" {
		return nil, fmt.Errorf("%w: --model is missing: which .qpt file?", cli.ErrUsage)
	}
	for _, f := range []struct {
		name       string
		value, max int
	}{{"threads", o.load.Threads, 1 << 10}, {"context", o.load.Context, 1 << 24}, {"batch", o.load.Batch, 1 << 16}} {
		if f.value < 0 || f.value > f.max {
			return nil, fmt.Errorf("%w: --%s %d: must be 1 to %d, or 0 for the default", cli.ErrUsage, f.name, f.value, f.max)
		}
	}
	if o.load.KV != "" {
		if _, err := attn.ParseKV(o.load.KV); err != nil {
			return nil, fmt.Errorf("%w: --kv: %w", cli.ErrUsage, err)
		}
	}
	if err := ui.UseISA(o.isa); err != nil {
		return nil, err
	}
	switch o.tuning {
	case "none":
		if o.load.Retune {
			return nil, fmt.Errorf("%w: --tune and --tuning none contradict each other", cli.ErrUsage)
		}
	case "":
		if dir, err := os.UserCacheDir(); err == nil {
			o.load.Tuning = runtime.TuningPath(filepath.Join(dir, "qpt"))
		}
	default:
		o.load.Tuning = o.tuning
	}
	return lm.Load(o.model, o.load)
}

// generation are the flags of a text.
type generation struct {
	prompt string
	opt    lm.GenerateOptions
}

func (g *generation) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&g.prompt, "prompt", "p", "", "`TEXT` to continue")
	f.IntVarP(&g.opt.MaxTokens, "max-tokens", "n", 256, "tokens to generate at most (0: until the context is full)")
	f.StringArrayVar(&g.opt.Stop, "stop", nil, "end before this `TEXT` (repeatable)")
	sampling(f, &g.opt.Sample)
}

// check finds wrong flags before the model is loaded.
func (g *generation) check() error {
	if g.opt.MaxTokens < 0 {
		return fmt.Errorf("%w: --max-tokens %d: must not be negative", cli.ErrUsage, g.opt.MaxTokens)
	}
	if _, err := sample.New(g.opt.Sample); err != nil {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	return nil
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
speed, and writes a short text. With --prompt it writes only the text.
With --ref it compares every layer with the original checkpoint in FP32.`,
		Example: `  qrun --model m.qpt
  qrun --model m.qpt --prompt "Once upon a time" --max-tokens 100
  qrun --model m.qpt --ref Llama-3.2-1B
  qrun eval --model m.qpt --text story.txt
  qrun diff a.qpt b.qpt --ref Llama-3.2-1B --text story.txt --html report.html`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case r.kernels && o.model == "":
				return runKernels(&o)
			case r.ref != "":
				return runLockStep(c.Context(), &o, &r)
			case c.Flags().Changed("prompt"):
				return runPrompt(c.Context(), &o, &g)
			}
			return runReport(c.Context(), &o, &g, &r)
		},
	}
	o.flags(c)
	g.flags(c)
	r.flags(c)
	c.AddCommand(generateCommand(&o), evalCommand(&o), benchCommand(&o), diffCommand(&o))
	return c
}

var noArgs = cli.NoArgs("the file is given with --model")

func generateCommand(o *options) *cobra.Command {
	var g generation
	c := &cobra.Command{
		Use:   "generate --model FILE.qpt --prompt TEXT",
		Short: "Continue a text",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runPrompt(c.Context(), o, &g) },
	}
	g.flags(c)
	return c
}

// runPrompt streams the continuation of a prompt to stdout.
func runPrompt(ctx context.Context, o *options, g *generation) error {
	if err := g.check(); err != nil {
		return err
	}
	m, err := o.open()
	if err != nil {
		return err
	}
	defer m.Close()
	t, err := timeText(ctx, m, g, func(piece string) (err error) {
		if !o.JSON {
			_, err = os.Stdout.WriteString(piece)
		}
		return err
	})
	if err != nil {
		return err
	}
	if o.JSON {
		return cli.Document(struct {
			Schema  int    `json:"schema"`
			Command string `json:"command"`
			Prompt  string `json:"prompt"`
			*text
		}{1, "generate", g.prompt, t})
	}
	if _, err := fmt.Println(); err != nil {
		return err
	}
	if !o.Quiet {
		fmt.Fprintf(os.Stderr, "[%s]\n", t)
	}
	return nil
}
