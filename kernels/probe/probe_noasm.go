//go:build purego || !amd64

package probe

var (
	peakProbes []peakProbe
	fedTiles   *peakProbe
)

func read(b []byte) { readGeneric(b) }
