package main

import (
	"github.com/spf13/cobra"

	"qpt/convert/hf"
	"qpt/internal/cli"
	"qpt/internal/ui"
)

// familyDoc is the JSON form of hf.Family.
type familyDoc struct {
	Type   string `json:"model_type"`
	Models string `json:"models"`
	Notes  string `json:"notes,omitempty"`
}

func familiesCommand(out *output) *cobra.Command {
	return &cobra.Command{
		Use:   "families",
		Short: "List the model families that convert",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var docs []familyDoc
			t := ui.NewTable("model_type", "models", "notes").Notes()
			for _, f := range hf.Families() {
				docs = append(docs, familyDoc{f.Type, f.Models, f.Notes})
				t.Row(f.Type, f.Models, f.Notes)
			}
			if out.JSON {
				return cli.Document(docs)
			}
			return t.Print(ui.Stdout)
		},
	}
}
