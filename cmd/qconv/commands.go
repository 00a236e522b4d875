package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qpt/convert"
	"qpt/format"
	"qpt/format/graph"
	"qpt/internal/cli"
	"qpt/internal/outfile"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/lm"
)

func planCommand(out *output) *cobra.Command {
	var opt options
	var recipeOut string
	c := &cobra.Command{
		Use:   "plan --in CHECKPOINT --scheme SCHEME",
		Short: "Show what a conversion would do to every tensor, without doing it",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			plan, err := opt.plan(out.Quiet || out.JSON)
			if err != nil {
				return err
			}
			defer plan.Close()
			if plan.RotationOpen() {
				plan.Warn = append(plan.Warn, "a conversion decides by an FP32 pass whether the model is rotated")
			}
			if err := outfile.Check(recipeOut, append(plan.Inputs(), opt.recipe)...); err != nil {
				return err
			}
			h, done := hooks(out)
			mixed, err := opt.mix(c.Context(), plan, h)
			done()
			if err != nil {
				return err
			}
			switch {
			case recipeOut == "-" && out.JSON:
				return fmt.Errorf("%w: --recipe-out - and --json both write to stdout: give the recipe a file", cli.ErrUsage)
			case recipeOut == "-":
				text, err := convert.EncodeRecipe(&plan.Recipe, false)
				if err == nil {
					_, err = ui.Stdout.Write(text)
				}
				return err
			case recipeOut != "":
				if err := convert.WriteRecipe(recipeOut, &plan.Recipe); err != nil {
					return err
				}
			}
			if out.JSON {
				return cli.Document(struct {
					Schema        int           `json:"schema"`
					Command       string        `json:"command"`
					Out           string        `json:"out"`
					Parameters    int64         `json:"parameters"`
					BitsPerWeight float64       `json:"bits_per_weight"`
					Bytes         int64         `json:"tensor_bytes"`
					Memory        int64         `json:"working_memory_bytes"`
					Calibration   float64       `json:"calibration_seconds,omitempty"`
					Recipe        format.Recipe `json:"recipe"`
					Ignored       []string      `json:"ignored_tensors"`
					Warnings      []string      `json:"warnings"`
					Tensors       []tensorDoc   `json:"tensors"`
					Mixed         *mixture      `json:"mixed,omitempty"`
				}{1, "plan", plan.Opt.Out, plan.Values(), float64(plan.Bytes()) * 8 / float64(plan.Values()), plan.Bytes(),
					plan.Memory(), plan.Forecast().Seconds(), plan.Recipe, append([]string{}, plan.Ignore...), append([]string{}, plan.Warn...), tensorDocs(plan), mixed})
			}
			if opt.Sensitivity && mixed.Target == "" {
				if err := mixed.table(); err != nil {
					return err
				}
				fmt.Fprintln(ui.Stdout)
			}
			t := ui.NewTable("tensor", "shape", "from", "scheme", "bits", "size", "reason").Notes()
			for i := range plan.Items {
				it := &plan.Items[i]
				t.Row(it.Name, fmt.Sprint(it.Shape), it.Source, withGroup(it.Scheme, it.Group), fmt.Sprintf("%.2f", it.Bits()), ui.Size(it.Bytes), it.Reason)
			}
			if err := t.Print(ui.Stdout); err != nil {
				return err
			}
			for _, name := range plan.Ignore {
				fmt.Fprintf(ui.Stdout, "ignored: %s\n", name)
			}
			for _, w := range plan.Warn {
				fmt.Fprintf(ui.Stdout, "note: %s\n", w)
			}
			fmt.Fprintf(ui.Stdout, "\n%s: %s parameters, %.2f bits per weight, %s of tensors, working memory about %s", plan.Opt.Out,
				ui.Count(plan.Values()), float64(plan.Bytes())*8/float64(plan.Values()), ui.Size(plan.Bytes()), ui.Size(plan.Memory()))
			if d := plan.Forecast(); d > 0 {
				fmt.Fprintf(ui.Stdout, ", calibration about %s", ui.Duration(d))
			}
			fmt.Fprintln(ui.Stdout)
			mixed.print()
			return nil
		},
	}
	opt.flags(c)
	c.Flags().BoolVar(&opt.Sensitivity, "sensitivity", false, "measure what each matrix costs in each format, as KL from FP32")
	c.Flags().StringVarP(&opt.Out, "out", "o", "", "`FILE` that the conversion would write")
	c.Flags().StringVar(&recipeOut, "recipe-out", "", "write the recipe that these flags mean to `FILE`, for --recipe: YAML if it ends in .yaml or .yml, else JSON; - for stdout, alone")
	return c
}

func inspectCommand(out *output) *cobra.Command {
	var model, program string
	var showGraph, showBytes bool
	c := &cobra.Command{
		Use:   "inspect FILE.qpt",
		Short: "Print what a file holds: provenance, sections, tensors; its graph or its bytes",
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.ModelArg(c, args, &model); err != nil {
				return err
			}
			switch {
			case showGraph && showBytes:
				return fmt.Errorf("%w: give --graph or --bytes, not both", cli.ErrUsage)
			case showBytes && out.JSON:
				return fmt.Errorf("%w: --bytes prints text: leave --json out", cli.ErrUsage)
			case c.Flags().Changed("program") && !showGraph:
				return fmt.Errorf("%w: --program is for --graph", cli.ErrUsage)
			}
			f, err := format.Open(model)
			if err != nil {
				return err
			}
			defer f.Close()
			var g *graph.Graph
			if showGraph {
				if !slices.Contains(f.Programs(), program) {
					return fmt.Errorf("%w: --program %s: %s has %s", cli.ErrUsage, program, model, strings.Join(f.Programs(), ", "))
				}
				if g, err = f.Program(program); err != nil {
					return err
				}
			}
			switch {
			case out.JSON:
				return inspectJSON(f, g)
			case showBytes:
				return format.Dump(ui.Stdout, f)
			case showGraph:
				return g.Dump(ui.Stdout)
			}
			return summary(f)
		},
	}
	cli.Model(c, c.Flags(), &model)
	c.Flags().BoolVar(&showGraph, "graph", false, "print the graph")
	c.Flags().BoolVar(&showBytes, "bytes", false, "print every byte of the layout with its meaning")
	c.Flags().StringVar(&program, "program", format.Main, "`NAME` of the program whose graph to print")
	return c
}

// summary prints where a file comes from and what is in it.
func summary(f *format.File) error {
	meta, err := f.Meta()
	if err != nil {
		return err
	}
	tensors, err := f.Tensors()
	if err != nil {
		return err
	}
	fmt.Fprintf(ui.Stdout, "model    %s (%s), %s parameters, context %d\n", meta.Model.Name, meta.Model.Architecture, ui.Count(meta.Model.Parameters), meta.Model.Context)
	fmt.Fprintf(ui.Stdout, "recipe   %s", meta.Recipe.Scheme)
	for _, o := range meta.Recipe.Settings()[1:] {
		fmt.Fprintf(ui.Stdout, ", %s", strings.TrimPrefix(o.Name+" "+o.Value, "rule "))
	}
	fmt.Fprintf(ui.Stdout, "; written by %s\n", meta.Tool)
	for _, s := range meta.Sources {
		fmt.Fprintf(ui.Stdout, "source   %s, %s, sha256 %s\n", s.Name, ui.Size(s.Size), s.SHA256)
	}
	rewrites, err := f.Rewrites()
	if err != nil {
		return err
	}
	if s := rewrites.String(); s != "" {
		fmt.Fprintf(ui.Stdout, "rewrites %s\n", s)
	}
	if names := f.Programs(); len(names) > 1 {
		fmt.Fprintf(ui.Stdout, "programs %s\n", strings.Join(names, ", "))
	}
	fmt.Fprintf(ui.Stdout, "file     %s, %s\n\n", f.Path(), ui.Size(f.Size()))
	t := ui.NewTable("section", "kind", "encoding", "offset", "stored", "decoded")
	for _, s := range f.Sections() {
		t.Row(s.Name, s.Kind, s.Encoding, s.Offset, ui.Size(s.Stored), ui.Size(s.Size))
	}
	if err := t.Print(ui.Stdout); err != nil {
		return err
	}
	fmt.Fprintln(ui.Stdout)
	t = ui.NewTable("tensor", "shape", "scheme", "format", "size", "SQNR dB", "reason").Notes()
	for _, x := range tensors {
		var bytes int64
		for _, p := range x.Parts {
			bytes += p.Size
		}
		sqnr := "exact"
		if x.SQNR != 0 {
			sqnr = fmt.Sprintf("%.2f", x.SQNR)
		}
		t.Row(x.Name, fmt.Sprint(x.Shape), withGroup(x.Scheme, x.Group), x.Format, ui.Size(bytes), sqnr, x.Reason)
	}
	if err := t.Print(ui.Stdout); err != nil {
		return err
	}
	return printActivations(f, tensors)
}

// printActivations prints the trace of the observers, if there is one, and which layers read each value.
func printActivations(f *format.File, tensors []format.Tensor) error {
	list, err := f.Activations()
	if err != nil || list == nil {
		return err
	}
	g, err := f.Program(format.Main)
	if err != nil {
		return err
	}
	static := map[string]bool{}
	for _, x := range tensors {
		static[x.Name] = x.Scheme == "s8s8"
	}
	readers := map[string][]string{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if x := n.Linears(); len(x) > 0 && static[x[0].Weight] {
			readers[x[0].Input] = append(readers[x[0].Input], n.Name[strings.LastIndexByte(n.Name, '.')+1:])
		}
	}
	fmt.Fprintln(ui.Stdout)
	t := ui.NewTable("static activation", "observer", "seen from", "to", "scale", "zero", "clipped", "read by")
	for _, a := range list {
		t.Row(a.Value, a.Observer, fmt.Sprintf("%.4g", a.Min), fmt.Sprintf("%.4g", a.Max), fmt.Sprintf("%.4g", a.Scale), a.Zero,
			fmt.Sprintf("%.4f %%", 100*a.Clipped), strings.Join(readers[a.Value], ", "))
	}
	return t.Print(ui.Stdout)
}

// inspectJSON prints a file's description with a graph, if g is not nil.
func inspectJSON(f *format.File, g *graph.Graph) error {
	meta, err := f.Meta()
	if err != nil {
		return err
	}
	tensors, err := f.Tensors()
	if err != nil {
		return err
	}
	activations, err := f.Activations()
	if err != nil {
		return err
	}
	rewrites, err := f.Rewrites()
	if err != nil {
		return err
	}
	type section struct {
		Name     string `json:"name"`
		Kind     string `json:"kind"`
		Encoding string `json:"encoding"`
		Offset   int64  `json:"offset"`
		Stored   int64  `json:"stored_bytes"`
		Size     int64  `json:"bytes"`
		CRC      string `json:"crc32c"`
		SHA256   string `json:"sha256"`
	}
	var sections []section
	for _, s := range f.Sections() {
		sections = append(sections, section{s.Name, s.Kind.String(), s.Encoding.String(), s.Offset, s.Stored, s.Size, fmt.Sprintf("%08x", s.CRC), fmt.Sprintf("%x", s.SHA256)})
	}
	return cli.Document(struct {
		Schema      int                 `json:"schema"`
		Command     string              `json:"command"`
		File        string              `json:"file"`
		Size        int64               `json:"file_bytes"`
		Meta        format.Meta         `json:"meta"`
		Sections    []section           `json:"sections"`
		Tensors     []format.Tensor     `json:"tensors"`
		Activations []format.Activation `json:"activations,omitempty"`
		Programs    []string            `json:"programs"`
		Rewrites    string              `json:"rewrites,omitempty"` // in words
		Graph       *graph.Graph        `json:"graph,omitempty"`
	}{1, "inspect", f.Path(), f.Size(), meta, sections, tensors, activations, f.Programs(), rewrites.String(), g})
}

func verifyCommand(out *output) *cobra.Command {
	var model string
	c := &cobra.Command{
		Use:   "verify FILE.qpt...",
		Short: "Check every byte of files: layout, checksums, tensors, graph, tokenizer",
		RunE: func(c *cobra.Command, args []string) error {
			if model != "" {
				args = append([]string{model}, args...)
			}
			if len(args) == 0 {
				return fmt.Errorf("%w: which files?", cli.ErrUsage)
			}
			var docs []map[string]any
			for _, path := range args {
				sections, size, err := verifyFile(c.Context(), path, out)
				if err != nil {
					return err
				}
				if out.JSON {
					docs = append(docs, map[string]any{"file": path, "file_bytes": size, "sections": sections, "ok": true})
				} else {
					fmt.Fprintf(ui.Stdout, "%s: ok, %d sections, %s\n", path, sections, ui.Size(size))
				}
			}
			if out.JSON {
				return cli.Document(map[string]any{"schema": 1, "command": "verify", "files": docs})
			}
			return nil
		},
	}
	cli.Model(c, c.Flags(), &model)
	return c
}

// verifyFile checks the container byte by byte, then that its contents make a model.
func verifyFile(ctx context.Context, path string, out *output) (sections int, size int64, err error) {
	f, err := format.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	bar := ui.NewProgress(out.Verbosity(), "verifying "+filepath.Base(path), f.Size(), ui.Size)
	err = f.Verify(ctx, func(done, _ int64) { bar.Set(done) })
	bar.Done()
	if err != nil {
		return 0, 0, err
	}
	m, err := runtime.Load(path, runtime.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer m.Close()
	if err := m.Verify(ctx); err != nil {
		return 0, 0, err
	}
	if _, err := f.Section(format.KindTokenizer.String()); err == nil {
		if _, err := lm.New(m, 0); err != nil {
			return 0, 0, err
		}
	}
	return len(f.Sections()), f.Size(), nil
}

func repackCommand(out *output) *cobra.Command {
	var model, to string
	var compress bool
	c := &cobra.Command{
		Use:   "repack FILE.qpt --out OTHER.qpt",
		Short: "Turn the compressed transport form into the mapped one, or back with --compress",
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.ModelArg(c, args, &model); err != nil {
				return err
			}
			switch to {
			case "":
				return fmt.Errorf("%w: --out is missing", cli.ErrUsage)
			case "-":
				return fmt.Errorf("%w: --out -: a .qpt file is not written in one go, so stdout cannot take it: name a file", cli.ErrUsage)
			}
			f, err := format.Open(model)
			if err != nil {
				return err
			}
			defer f.Close()
			if err := outfile.Check(to, model); err != nil {
				return err
			}
			enc := format.Raw
			if compress {
				enc = format.Zstd
			}
			bar := ui.NewProgress(out.Verbosity(), "repacking", f.Size(), ui.Size)
			err = format.Rewrite(c.Context(), f, to, enc, func(done, _ int64) { bar.Set(done) })
			bar.Done()
			if err != nil {
				return err
			}
			st, err := os.Stat(to)
			if err != nil {
				return err
			}
			if out.JSON {
				return cli.Document(map[string]any{"schema": 1, "command": "repack", "in": model, "in_bytes": f.Size(), "out": to, "out_bytes": st.Size(), "weights": enc.String()})
			}
			fmt.Fprintf(ui.Stdout, "%s: %s -> %s: %s, weights %s\n", model, ui.Size(f.Size()), to, ui.Size(st.Size()), enc)
			return nil
		},
	}
	cli.Model(c, c.Flags(), &model)
	c.Flags().StringVarP(&to, "out", "o", "", "`FILE` to write")
	c.Flags().BoolVar(&compress, "compress", false, "write the transport form")
	return c
}
