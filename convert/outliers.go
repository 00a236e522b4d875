package convert

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"qpt/format/graph"
	"qpt/format/rewrite"
	"qpt/kernels/linear"
	"qpt/runtime/lm"
)

// turnGain is how many times less noise int8 inputs must have in a rotated model for rotation to be chosen: a quarter is half of it in
// amplitude. Of the models measured (docs/accuracy.md) those without outlier channels give 0.8 to 1.4, and lose or gain nothing that counts;
// SmolLM2 with its own gives 12.
const turnGain = 4

// RotationOpen tells whether Rotation has something to decide: not where the options say how weights are rounded, where inputs are not rounded to int8,
// or where weights have 4 bits, whose own noise is greater than what rotation takes from the inputs'.
func (p *Plan) RotationOpen() bool {
	o, s := p.Opt, mustScheme(p.Recipe.Scheme)
	given := o.Preset != "" || o.Algorithms != "" || o.Sensitivity || o.Recipe != nil && o.Recipe.Calibration != nil
	return !given && !p.calibrates() && p.Recipe.Compat == "" && s.Form == linear.A8 && !s.Static && s.Bits >= 6 && lm.Check(p.graph) == nil
}

// turnRows are enough rows to decide on.
const turnRows = 64

// Rotation is the plan with the model rotated where that is better by far, p itself where not; the other one is closed. The FP32 pass that
// Run makes for its references is made here and serves both: no text is needed.
func (p *Plan) Rotation(ctx context.Context, h Hooks) (*Plan, error) {
	if !p.RotationOpen() {
		return p, nil
	}
	o := p.Opt
	turned, err := rewrite.Rotate(p.graph, p.src, o.Seed)
	if err != nil { // nothing to turn, or nothing that can be
		return p, nil
	}
	h.orNothing().Stage("reference")
	c := &crest{turned: turned}
	rows := cmp.Or(o.References, refRows)
	if rows < 0 { // nobody reads them
		rows = turnRows
	}
	if p.refs, err = p.references(ctx, rows, c.see); err != nil {
		return p, err
	}
	gain := c.gain()
	if !(gain >= turnGain) {
		return p, nil
	}
	o.Algorithms = "rotate"
	next, err := MakePlan(o)
	if err != nil { // the rotated model needs more memory
		p.Warn = append(p.Warn, fmt.Sprintf("rotation would leave int8 inputs 1/%.0f of their noise, but: %v", gain, err))
		return p, nil
	}
	next.refs = p.refs
	next.Warn = append(next.Warn, fmt.Sprintf("the model has outlier channels: it is rotated, which leaves int8 inputs 1/%.0f of their noise (--preset fast does not)", gain))
	return next, p.Close()
}

// crest sums up what rotation does to the greatest value of the rows that int8 gets, in relation to their root mean square: noise follows its square.
type crest struct {
	turned *rewrite.Model
	sum    float64 // of logarithms: what it was to what it is
	rows   int
}

// see takes the rows of a norm.
func (c *crest) see(n *graph.Node, out graph.Tensor) {
	if n.Op.Kind() != "rmsnorm" || !c.turned.Turned(n.Out[0]) {
		return
	}
	factor := func(x []float32) float64 {
		most, power := 0.0, 0.0
		for _, v := range x {
			most, power = max(most, math.Abs(float64(v))), power+float64(v)*float64(v)
		}
		return most / math.Sqrt(power)
	}
	for r := range out.Rows() {
		x := out.Row(r)
		if d := math.Log(factor(x) / factor(c.turned.To(n.Out[0], x))); d-d == 0 { // rows of zeros have none
			c.sum += d
			c.rows++
		}
	}
}

// gain is the noise before to that after; NaN without rows.
func (c *crest) gain() float64 { return math.Exp(2 * c.sum / float64(c.rows)) }
