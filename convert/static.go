package convert

import (
	"context"
	"fmt"
	"slices"

	"qpt/calibrate"
	"qpt/format"
	"qpt/format/graph"
	"qpt/runtime/encoder"
)

// DefaultObserver chooses the ranges of static activations unless another is asked for.
const DefaultObserver = "histogram"

// EncoderObserver chooses them in encoders of text: features that are always large must not be clipped.
const EncoderObserver = "minmax"

// staticValues are the values that s8s8 layers read.
func (p *Plan) staticValues() (list []string) {
	static := map[string]bool{}
	for _, it := range p.Items {
		static[it.Name] = it.Scheme == "s8s8"
	}
	for i := range p.graph.Nodes {
		for _, x := range p.graph.Nodes[i].Linears() {
			if static[x.Weight] && !slices.Contains(list, x.Input) {
				list = append(list, x.Input)
			}
		}
	}
	return list
}

// checkStatic completes what the recipe says of static activations; schemes are decided by then.
func (p *Plan) checkStatic() error {
	r := &p.Recipe
	static := len(p.staticValues()) > 0
	switch {
	case r.Scheme == "keep" && static:
		if p.Opt.Calib != "" || r.Activations != nil {
			return fmt.Errorf("%w: the checkpoint has ranges of activations, which are kept: leave out --calib and --observer, or give --scheme s8s8", ErrUsage)
		}
		return nil
	case static && p.Opt.Calib == "" && p.onTensors():
		return fmt.Errorf("%w: scheme s8s8 needs calibration data, on which the ranges of the activations are observed: give --calib FILE.safetensors with %s", ErrUsage, inputList(p.graph))
	case static && p.checkText() != nil:
		return p.checkText()
	case static && p.Opt.Calib == "" && !calibrate.NeedText(r.Calibration.Algorithms):
		return fmt.Errorf("%w: scheme s8s8 needs a calibration text, on which the ranges of the activations are observed: give one (--calib FILE), let the model write its own (--preset balanced), or take da8w8, which finds them while running", ErrUsage)
	case !static && p.Opt.Calib != "" && !(r.Scheme == "s8s8" && p.onTensors()) && !p.Opt.Sensitivity && !calibrate.NeedText(r.Calibration.Algorithms):
		return fmt.Errorf("%w: %s takes no calibration text", ErrUsage, calibrationName(r))
	case !static && r.Activations != nil:
		return fmt.Errorf("%w: observers choose the ranges of s8s8 activations, but no layer has that scheme", ErrUsage)
	case !static:
		return nil
	}
	a := format.Activations{Observer: DefaultObserver}
	if encoder.Check(p.graph) == nil {
		a.Observer = EncoderObserver
	}
	if r.Activations != nil {
		set(&a.Observer, r.Activations.Observer)
		a.Symmetric = r.Activations.Symmetric
	}
	r.Activations = &a
	if _, err := calibrate.NewObserver(a.Observer, calibrate.Grid{}); err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return nil
}

// observe finds the ranges of static activations; src is the model as it will be stored, but for rounding.
func (p *Plan) observe(ctx context.Context, src graph.Source, text sequences, h Hooks) ([]format.Activation, error) {
	values := p.staticValues()
	if len(values) == 0 {
		return nil, nil
	}
	h.Stage("observe")
	how := p.Recipe.Activations
	list, err := calibrate.Observe(ctx, p.graph, src, values, calibrate.StaticOptions{Seqs: text.seqs, Types: text.types, Threads: p.Opt.Threads, Memory: p.Opt.Mem,
		Observer: how.Observer, Symmetric: how.Symmetric, Progress: func(done, total int) { h.Progress(int64(done), int64(total)) }})
	if err != nil {
		return nil, err
	}
	var out []format.Activation
	for _, s := range list {
		out = append(out, format.Activation{Value: s.Value, Scale: s.Scale, Zero: s.Zero, Observer: how.Observer, Min: s.Min, Max: s.Max, Clipped: s.Clipped})
	}
	return out, nil
}
