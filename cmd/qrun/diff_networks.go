package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/internal/report"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/compare"
)

// runNetworks is qrun diff on networks: each file beside the FP32 results in it.
func (d *diffOptions) runNetworks(c *cobra.Command, paths []string, models []*runtime.Model, l limits) error {
	for _, f := range []string{"ref", "text", "tokens", "window", "worst", "speed", "max-ppl-increase"} {
		if c.Flags().Changed(f) {
			return fmt.Errorf("%w: --%s is for models of text: of a network on pictures or tensors the rows in its file are compared", cli.ErrUsage, f)
		}
	}
	if err := writable(d.html); err != nil {
		return err
	}
	doc := &report.Networks{Schema: 1, Command: "diff", Tool: "qrun " + cli.Version()}
	var missed error
	for i, m := range models {
		if err := l.fitOutputs(m.Graph); err != nil {
			return err
		}
		list, err := compare.CheckNetwork(c.Context(), m)
		if err != nil {
			return fmt.Errorf("%w: a file of --scheme s8s8 with --calib has FP32 results of rows", err)
		}
		info := m.Meta.Model
		doc.Models = append(doc.Models, &report.Network{File: paths[i], Name: info.Name, Parameters: info.Parameters, Bytes: m.File.Size(), Scheme: m.Meta.Recipe.Scheme,
			Bits: report.Number(bitsPerWeight(m)), Tool: m.Meta.Tool, Settings: settings(m, ""), Outputs: outputsOf(m, list)})
		if err := l.checkOutputs(list); err != nil && missed == nil {
			missed = err
		}
	}
	if err := d.page(func(w io.Writer) error { return report.NetworksHTML(w, doc) }); err != nil {
		return err
	}
	if d.JSON {
		return cmp.Or(cli.Document(doc), missed)
	}
	if d.html != "-" {
		fmt.Fprintln(ui.Stdout, "against  the FP32 results in each file")
		for _, x := range doc.Models {
			fmt.Fprintf(ui.Stdout, "\n%s: %s, scheme %s, %.2f bits per weight\n", x.File, ui.Size(x.Bytes), x.Scheme, float64(x.Bits))
			if err := printOutputs(x.Outputs); err != nil {
				return err
			}
		}
	}
	return missed
}
