package calibrate

import (
	"fmt"
	"slices"
	"strings"
)

// Algorithms are the names that a recipe may list, in the order in which they act.
var Algorithms = []string{"rotate", "equalize", "scales", "correct", "gptq", "act-order", "clip", "hqq", "descent", "bias"}

// NeedText tells whether one of these algorithms looks at activations.
func NeedText(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return name != "hqq" && name != "rotate" })
}

// Enable switches on algorithms by name. An unknown name and a list that means nothing are errors.
func (o *Options) Enable(names ...string) error {
	on := map[string]*bool{"scales": &o.Scales, "correct": &o.Correct, "gptq": &o.GPTQ, "act-order": &o.Order, "clip": &o.Clip, "hqq": &o.HQQ, "bias": &o.Bias}
	for i, name := range names {
		switch p := on[name]; {
		case slices.Contains(names[:i], name):
			return fmt.Errorf("algorithm %q is given twice", name)
		case p != nil:
			*p = true
		case name == "descent":
			o.Sweeps = 4
		case name == "rotate" || name == "equalize": // are done to the model before (format/rewrite, Equalize)
		default:
			return fmt.Errorf("algorithm %q is unknown, want some of %s", name, strings.Join(Algorithms, ", "))
		}
	}
	if o.Order && !o.GPTQ {
		return fmt.Errorf("algorithm %q is an order for gptq: add gptq", "act-order")
	}
	if o.Clip && o.HQQ {
		return fmt.Errorf("algorithms %q and %q both choose the groups: take one of them", "clip", "hqq")
	}
	return nil
}
