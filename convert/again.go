package convert

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"qpt/convert/stored"
)

// again notes matrices that were codes in the checkpoint and are rounded a second time, and inputs that are not rounded as it asks.
func (p *Plan) again() {
	kinds, acts, whole := map[string]bool{}, map[string]bool{}, map[string]bool{}
	n, numbers := 0, 0
	for i := range p.Items {
		it := &p.Items[i]
		t, _ := p.stored(p.graph.ParamMap()[it.Name])
		if t == nil || t.Codes == nil && !t.Inexact {
			continue
		}
		if it.Scheme != "f32" && it.Scheme != "keep" {
			n++
			kinds[t.Type] = true
		}
		if it.Reason == inexactReason {
			numbers++
			whole[t.Type] = true
		}
		if t.Codes != nil && t.Codes.Acts != stored.AsTheyAre && (it.Scheme != "keep" || strings.Contains(string(t.Codes.Acts), " ")) {
			acts[string(t.Codes.Acts)] = true
		}
	}
	list := func(set map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(set)), ", ") }
	if n > 0 {
		p.Warn = append(p.Warn, fmt.Sprintf("%d matrices are quantized already (%s): they are rounded again from what their codes mean, and SQNR is against that", n, list(kinds)))
	}
	if numbers > 0 {
		p.Warn = append(p.Warn, fmt.Sprintf("%d matrices (%s) are kept as float32 numbers, exact but four bytes a weight, since %s; --scheme da8w8 or da8w4 is small and rounds again", numbers, list(whole), inexactReason))
	}
	if len(acts) > 0 {
		p.Warn = append(p.Warn, fmt.Sprintf("the tool that wrote the checkpoint also rounds what goes into layers (%s): here the scheme says how", list(acts)))
	}
}
