package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"qpt/convert"
	"qpt/format"
	"qpt/internal/cli"
	"qpt/internal/ui"
)

func recipeCommand(*output) *cobra.Command {
	var model string
	var asYAML bool
	c := &cobra.Command{
		Use:   "recipe PRESET | FILE.qpt",
		Short: "Print a preset (" + strings.Join(convert.Presets, ", ") + ") or a file's recipe",
		Long: `recipe prints a preset, or what a .qpt file was made by, as a recipe file. Add a scheme and rules, or let
qconv plan --recipe-out write the recipe of some flags, and give it with --recipe.

A recipe is one JSON object, or the same as YAML in a file that ends in .yaml or
.yml: there 'layers\.0\.' in single quotes needs no second backslash, and # begins
a comment; text that another reader could take for something else (010, True)
needs quotes, anchors and tags are refused. A key that is missing has the value of
the preset that "preset" names, or of the flags; flags win over keys.

  scheme        of the matrices that no rule decides on
  group         weights a group of the int4 schemes
  compat        "torchao": that tool's codes and scales
  inputs        of kept codes: "exact" or "int8" (absent: as the checkpoint asks)
  preset        what the rest starts from
  rules         list; the first rule that applies decides. A rule applies to
                the matrices that fulfil all of its conditions:
    match         regular expression on the name
    except        regular expression that the name must not match
    role          "output" or "embedding"
                and gives them
    scheme, group (the recipe's unless given), reason (text)
                --override, --exclude and --include, in this order, are rules
                before those of the file; int8 for the output layer and the
                embedding table are the last, unless there is a rule for them
  calibration   how int4 and int8 weights are rounded
    algorithms    list of these, empty: to nearest
      rotate      Hadamard rotations of the residual stream and of the heads'
                  values, with signs by seed, taken in by the weights
                  (SpinQuant R1, R2); needs no text
      equalize    channels between the layers of networks on tensors, kept if
                  it helps on rows that ranges are not from (Nagel et al. 2019)
      scales      channel scales (AWQ, SmoothQuant)
      correct     aim at what the FP32 model computes, with what is lost so far
      gptq        columns make up for the rounding errors of those before
      act-order   of gptq: from the column of greatest importance on; groups stay
      clip        groups by the error of what they add to the outputs (AWQ)
      hqq         zeros of groups by a norm that forgives outliers (HQQ);
                  needs no text
      descent     single codes move while the error falls
      bias        what results lack on the mean goes to the layers' biases;
                  layers without one get one
    alpha, beta   exponents that the algorithm scales tries: inputs' rms^alpha / weights' max^beta
    sweeps        of the algorithm descent at most
    damp          added to the diagonal of the second moments, as a share of its mean
    samples, length, seed   of the calibration text: sequences, tokens of one, choice
  activations   of scheme s8s8
    observer, symmetric     as --observer and --symmetric-activations`,
		RunE: func(_ *cobra.Command, args []string) error {
			if model != "" {
				args = append(args, model)
			}
			if len(args) != 1 {
				return fmt.Errorf("%w: which preset (%s) or .qpt file?", cli.ErrUsage, strings.Join(convert.Presets, ", "))
			}
			r, ok := convert.Preset(args[0])
			if !ok || model != "" {
				var err error
				if r, err = recipeOf(args[0]); err != nil {
					return err
				}
			}
			text, err := convert.EncodeRecipe(r, asYAML)
			if err != nil {
				return err
			}
			_, err = ui.Stdout.Write(text)
			return err
		},
	}
	cli.Model(c, c.Flags(), &model)
	c.ValidArgsFunction = nil
	c.ValidArgs = convert.Presets
	c.Flags().BoolVar(&asYAML, "yaml", false, "print YAML")
	return c
}

// recipeOf is what a .qpt file was made by, for another conversion.
func recipeOf(path string) (*format.Recipe, error) {
	if _, err := os.Stat(path); err != nil && !strings.ContainsAny(path, "./\\") {
		return nil, fmt.Errorf("%w: preset %q is unknown, want one of %s, or a .qpt file", cli.ErrUsage, path, strings.Join(convert.Presets, ", "))
	}
	f, err := format.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	meta, err := f.Meta()
	if err != nil {
		return nil, err
	}
	meta.Recipe.Results = nil
	return &meta.Recipe, nil
}
