package quantized

import (
	"fmt"
	"strings"

	"qpt/convert/stored"
)

// MLX keeps matrices of experts, and of heads, in stacks [E, N, K], under names of its own:
//
//	A.switch_mlp.NAME              A.experts.0.NAME, .. (Mixtral's w1, w2, w3)
//	A.experts.gate_proj, up_proj   A.experts.gate_up_proj [E, 2N, K], rows in turns (gpt-oss)
//	A.embed_q, A.unembed_out       A.kv_b_proj (DeepSeek): see stored.Heads
//
// unstack gives them those of the model itself.
func (o *opener) unstack() error {
	stacks := map[string]*stored.Tensor{}
	var list []*stored.Tensor
	for _, t := range o.matrices {
		if len(t.Shape) == 3 {
			stacks[strings.TrimSuffix(t.Name, ".weight")] = t
		} else {
			list = append(list, t)
		}
	}
	for _, name := range o.from.Names() { // not quantized
		t, _ := o.from.Tensor(name)
		module, ok := strings.CutSuffix(name, ".weight")
		if !ok || o.parts[name] || len(t.Shape) != 3 {
			continue
		}
		if strings.Contains(module, ".switch_mlp.") || strings.HasSuffix(module, ".embed_q") || strings.HasSuffix(module, ".unembed_out") {
			stacks[module] = stored.PlainTensor(name, t)
			stacks[module].Natural, o.parts[name] = true, true
		}
	}
	for name, t := range stacks {
		e, n := t.Shape[0], t.Shape[1]
		at, part := name[:strings.LastIndexByte(name, '.')+1], name[strings.LastIndexByte(name, '.')+1:]
		switch {
		case strings.HasSuffix(at, ".switch_mlp."):
			if e > maxStack {
				return fmt.Errorf("%w: mlx, module %.200q: a stack of %d matrices, at most %d are read", ErrUnsupported, name, e, maxStack)
			}
			if own := mixtralName[part]; own != "" && strings.HasSuffix(at, ".block_sparse_moe.switch_mlp.") {
				part = own
			}
			for i := range e {
				own := fmt.Sprintf("%sexperts.%d.%s.weight", strings.TrimSuffix(at, "switch_mlp."), i, part)
				list = append(list, stored.Gather(own, t.Shape[1:], t.Shape[2], t, func(r int) (*stored.Tensor, int) { return t, i*n + r }))
			}
		case part == "down_proj":
			t.Name = name
			list = append(list, t)
		case part == "gate_proj" && stacks[at+"up_proj"] != nil:
			up := stacks[at+"up_proj"]
			if t.Codes == nil || up.Codes == nil || e != up.Shape[0] || n != up.Shape[1] || t.Shape[2] != up.Shape[2] || t.Type != up.Type || t.Codes.Group != up.Codes.Group {
				return fmt.Errorf("%w: mlx, module %.200q is %s %v, up_proj %s %v: must be the same", ErrInput, name, t.Type, t.Shape, up.Type, up.Shape)
			}
			list = append(list, stored.Gather(at+"gate_up_proj", []int{e, 2 * n, t.Shape[2]}, t.Shape[2], t, stored.Turns(t, up, n, true)))
		case part == "up_proj" && stacks[at+"gate_proj"] != nil, part == "unembed_out" && stacks[at+"embed_q"] != nil:
		case part == "embed_q" && stacks[at+"unembed_out"] != nil:
			x, err := stored.Heads(at+"kv_b_proj.weight", t, stacks[at+"unembed_out"])
			if err != nil {
				return err
			}
			list = append(list, x)
		default:
			return fmt.Errorf("%w: mlx, module %.200q: a stack %v of a name that is not known; known: switch_mlp, experts, embed_q with unembed_out", ErrUnsupported, name, t.Shape)
		}
	}
	o.matrices = list
	return o.stackedBiases()
}

// mixtralName are Mixtral's own names of what MLX calls as others do.
var mixtralName = map[string]string{"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}

// maxStack bounds the matrices of a stack.
const maxStack = 1024

// stackedBiases are those of gpt-oss.
func (o *opener) stackedBiases() error {
	for _, at := range o.modules(".experts.gate_proj.bias") {
		gate, up := at+".experts.gate_proj.bias", at+".experts.up_proj.bias"
		a, _ := o.from.Tensor(gate)
		b, ok := o.from.Tensor(up)
		if !ok || len(a.Shape) != 2 || len(b.Shape) != 2 || a.Shape[0] != b.Shape[0] || a.Shape[1] != b.Shape[1] {
			return fmt.Errorf("%w: mlx: %.200q %v has no %q of its shape", ErrInput, gate, a.Shape, up)
		}
		o.parts[gate], o.parts[up] = true, true
		x := stored.PlainTensor(gate, a)
		o.matrices = append(o.matrices, stored.Gather(at+".experts.gate_up_proj_bias", []int{a.Shape[0], 2 * a.Shape[1]}, 1, x, stored.Turns(x, stored.PlainTensor(up, b), a.Shape[1], true)))
	}
	for _, at := range o.modules(".experts.down_proj.bias") {
		if t, ok := o.from.Tensor(at + ".experts.down_proj.bias"); ok && len(t.Shape) == 2 {
			o.parts[t.Name] = true
			o.matrices = append(o.matrices, stored.PlainTensor(at+".experts.down_proj_bias", t))
		}
	}
	return nil
}
