package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"qpt/convert"
	"qpt/convert/safetensors"
	"qpt/internal/cli"
	"qpt/internal/ui"
)

func exportCommand() *cobra.Command {
	var in, out, to, dtype string
	c := &cobra.Command{
		Use:   "export --in FILE.gguf --to safetensors --out FOLDER",
		Short: "Write a quantized checkpoint's weights as plain numbers, with its config and tokenizer",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, ok := safetensors.ParseDType(strings.ToUpper(dtype))
			switch {
			case in == "" || out == "":
				return fmt.Errorf("%w: --in and --out must be given", cli.ErrUsage)
			case to != "safetensors":
				return fmt.Errorf("%w: --to %s: only safetensors is written", cli.ErrUsage, to)
			case !ok:
				return fmt.Errorf("%w: --dtype %s: want f32 or bf16", cli.ErrUsage, dtype)
			}
			if err := convert.Unpack(c.Context(), in, out, d); err != nil {
				return err
			}
			fmt.Fprintf(ui.Stdout, "%s: config, tokenizer and weights as %s\n", out, strings.ToLower(dtype))
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&in, "in", "i", "", "`CHECKPOINT`: a GGUF file, or a folder")
	f.StringVarP(&out, "out", "o", "", "`FOLDER` to write, new or empty")
	f.StringVar(&to, "to", "safetensors", "`FORMAT` to write: safetensors")
	f.StringVar(&dtype, "dtype", "f32", "`TYPE` of the matrices: f32, exact, or bf16; vectors stay f32")
	return c
}
