package num

import "math/bits"

// Sum32 is the float32 sum of x in the order in which PyTorch's kernels for CPUs add numbers that lie side by side: 32 partial sums (4 of fewer than 8 numbers),
// each of every 32nd number, 16 and more at a time; then what fills no 32, the four of a lane, the numbers that fill no 8, and the lanes.
func Sum32(x []float32) float32 {
	const levels = 4
	lanes := 8
	if len(x) < lanes {
		lanes = 1
	}
	wide := 4 * lanes
	rows := len(x) / wide
	power := max(4, bits.Len(uint(max(rows, 1)-1))/levels)
	var acc [levels][32]float32
	for i := range rows {
		for j, v := range x[i*wide:][:wide] {
			acc[0][j] += v
		}
		for k := 1; k < levels && (i+1)%(1<<(k*power)) == 0; k++ {
			for j, v := range acc[k-1] {
				acc[k][j] += v
			}
			acc[k-1] = [32]float32{}
		}
	}
	p := &acc[0]
	for _, more := range acc[1:] {
		for j, v := range more {
			p[j] += v
		}
	}
	x = x[rows*wide:]
	for ; len(x) >= lanes; x = x[lanes:] {
		for j, v := range x[:lanes] {
			p[j] += v
		}
	}
	sum := float32(0)
	for _, v := range x {
		sum += v
	}
	for j := range lanes {
		sum += float32(float32(p[j]+p[lanes+j])+p[2*lanes+j]) + p[3*lanes+j]
	}
	return sum
}
