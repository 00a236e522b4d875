package quantized

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qpt/convert/safetensors"
)

// TestMLXStacks: matrices in MLX's stacks have, under the names of the model, the values that they have by themselves.
func TestMLXStacks(t *testing.T) {
	from, _ := take(t, "mlx-4b-g64")
	whole := strings.TrimSuffix(from.is(t, ".scales"), ".scales")
	b := bag{}
	for _, suffix := range []string{".weight", ".scales", ".biases"} {
		one := from[whole+suffix]
		two := part{one.dtype, one.shape, slices.Clone(one.data)}
		if suffix == ".weight" {
			for i := range two.data {
				two.data[i] ^= 0x5a
			}
		}
		stack := func(first, second part) part {
			return part{first.dtype, append([]int{2}, first.shape...), slices.Concat(first.data, second.data)}
		}
		b["a"+suffix], b["b"+suffix] = one, two
		b["m.mlp.switch_mlp.up_proj"+suffix] = stack(one, two)
		b["m.block_sparse_moe.switch_mlp.gate_proj"+suffix] = stack(two, one)
		b["o.experts.gate_proj"+suffix], b["o.experts.up_proj"+suffix], b["o.experts.down_proj"+suffix] = stack(one, two), stack(two, one), stack(two, two)
	}
	bias := func(from byte) (p part) {
		p = part{safetensors.BF16, []int{2, 3}, make([]byte, 12)}
		for i := range p.data {
			p.data[i] = from + byte(i)
		}
		return p
	}
	b["o.experts.gate_proj.bias"], b["o.experts.up_proj.bias"], b["o.experts.down_proj.bias"] = bias(0), bias(20), bias(40)
	b["p.embed_q.weight"] = part{safetensors.BF16, []int{2, 3, 1}, bias(0).data}      // 2 heads, rank 3, keys of 1
	b["p.unembed_out.weight"] = part{safetensors.BF16, []int{2, 1, 3}, bias(20).data} // values of 1

	dir := t.TempDir()
	if err := b.write(dir, nil); err != nil {
		t.Fatal(err)
	}
	in, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := Open("config", []byte(`{"bits":4,"group_size":64}`), in)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	read := func(name string) []float32 {
		x, ok := c.Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s of %q", name, c.Names())
		}
		v := make([]float32, x.Values())
		if err := x.ReadPart(0, v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	same := func(name string, want ...float32) {
		t.Helper()
		if have := read(name); !slices.Equal(have, want) {
			t.Errorf("%s has other values: %v.., must be %v..", name, have[:3], want[:3])
		}
	}
	a, z := read("a.weight"), read("b.weight")
	same("m.mlp.experts.0.up_proj.weight", a...)
	same("m.mlp.experts.1.up_proj.weight", z...)
	same("m.block_sparse_moe.experts.0.w1.weight", z...)
	same("m.block_sparse_moe.experts.1.w1.weight", a...)
	k := from[whole+".weight"].shape[1] * 8
	var turns, other []float32
	for r := 0; r < len(a); r += k {
		turns = slices.Concat(turns, a[r:r+k], z[r:r+k])
		other = slices.Concat(other, z[r:r+k], a[r:r+k])
	}
	same("o.experts.gate_up_proj", append(turns, other...)...)
	same("o.experts.down_proj", append(slices.Clone(z), z...)...)
	x, y := read("p.kv_b_proj.weight"), read("o.experts.gate_up_proj_bias")
	g, u := y[0:12:12], read("o.experts.down_proj_bias")
	if len(x) != 12 || len(g) != 12 || len(u) != 6 {
		t.Fatal(x, g, u)
	}
	for e := range 2 { // the numbers of both are those of bias(0) and bias(20)
		for i := range 3 {
			if x[6*e+i] != g[6*e+2*i] || x[6*e+3+i] != g[6*e+2*i+1] {
				t.Errorf("kv_b_proj %v, gate_up_proj_bias %v: head %d, %d", x, g, e, i)
			}
		}
	}
}
