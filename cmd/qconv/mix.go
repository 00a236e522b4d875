package main

import (
	"context"
	"fmt"
	"slices"

	"qpt/convert"
	"qpt/internal/ui"
)

// mixture is what is known of a choice of schemes by measured sensitivity; a nil one is none.
type mixture struct {
	Target      string               `json:"target,omitempty"`
	Predicted   float64              `json:"predicted_kl,omitempty"`
	Measured    *float64             `json:"measured_kl,omitempty"` // of the file, on the same text
	Tokens      int                  `json:"tokens"`
	Seconds     float64              `json:"predicted_seconds,omitempty"` // a token's products with matrices
	Sensitivity *convert.Sensitivity `json:"sensitivity"`
}

// mix measures sensitivities, if they are asked for, and chooses schemes if there is a target.
func (o *options) mix(ctx context.Context, plan *convert.Plan, h convert.Hooks) (*mixture, error) {
	if !o.Sensitivity {
		return nil, nil
	}
	o.sensitivity.Target = o.target
	s, err := plan.Sensitivity(ctx, o.sensitivity, h)
	if err != nil {
		return nil, err
	}
	x := &mixture{Tokens: s.Tokens, Sensitivity: s}
	if o.target != (convert.Target{}) {
		m, err := plan.Mix(s, o.target)
		if err != nil {
			return nil, err
		}
		x.Target, x.Predicted, x.Seconds = m.Target.String(), m.KL, m.Seconds
	}
	return x, nil
}

// measure runs the converted file.
func (x *mixture) measure(ctx context.Context, plan *convert.Plan) error {
	if x == nil {
		return nil
	}
	kl, err := plan.Measure(ctx, x.Sensitivity)
	x.Measured = &kl
	return err
}

func (x *mixture) print() {
	if x == nil || x.Target == "" {
		return
	}
	fmt.Fprintf(ui.Stdout, "mixed precision for %s: KL %.3g predicted", x.Target, x.Predicted)
	if x.Measured != nil {
		fmt.Fprintf(ui.Stdout, ", %.3g measured", *x.Measured)
	}
	fmt.Fprintf(ui.Stdout, ", on %s tokens\n", ui.Count(int64(x.Tokens)))
	if x.Seconds > 0 {
		fmt.Fprintf(ui.Stdout, "products with matrices take %.4g ms a token by measured shapes\n", x.Seconds*1e3)
	}
}

// table prints the sensitivities: KL times 1000 of each matrix in each format.
func (x *mixture) table() error {
	s := x.Sensitivity
	var formats []string
	name := func(c convert.Candidate) string {
		if c.Group == 0 {
			return c.Scheme
		}
		return fmt.Sprintf("%s:%d", c.Scheme, c.Group)
	}
	for _, l := range s.Layers {
		for _, c := range l.Candidates {
			if !slices.Contains(formats, name(c)) {
				formats = append(formats, name(c))
			}
		}
	}
	head := []string{"KL x 1000, one at a time", "shape"}
	t := ui.NewTable(append(head, formats...)...)
	for _, l := range s.Layers {
		row := []any{l.Name, fmt.Sprint(l.Shape)}
		for _, f := range formats {
			cell := ""
			for _, c := range l.Candidates {
				if name(c) == f {
					cell = fmt.Sprintf("%.3g", 1e3*l.Predict(c))
				}
			}
			row = append(row, cell)
		}
		t.Row(row...)
	}
	if err := t.Print(ui.Stdout); err != nil {
		return err
	}
	fmt.Fprintf(ui.Stdout, "\nfixed: KL %.3g of inputs and other matrices; on %s tokens\n", s.Fixed, ui.Count(int64(s.Tokens)))
	return nil
}
