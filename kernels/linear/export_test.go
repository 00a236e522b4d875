package linear

// For tests, and benches, which compare with package probe and so lie outside.

var KernelFor = choose

// Choose names the kernel that Linear runs for m rows, "" if there is none.
func Choose(f Format, a ActForm, m int) string {
	if k := choose(f, a, m); k != nil {
		return k.Name()
	}
	return ""
}

// Run is Linear by one kernel; rows of y begin at block b0.
func (k *Kernel) Run(y []float32, ldy int, x *Acts, w *Weight, b0, b1 int, add bool, s *Scratch) {
	k.linear(y, ldy, x, w, b0, b1, add, s)
}
