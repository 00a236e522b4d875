package ui

import (
	"fmt"
	"time"
)

// Size formats a number of bytes in binary units: "512 B", "1.50 GiB".
func Size(bytes int64) string {
	if bytes > -1024 && bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	x := float64(bytes)
	unit := -1
	for (x <= -1023.995 || x >= 1023.995) && unit < 5 { // what %.2f would print as 1024.00
		x /= 1024
		unit++
	}
	return fmt.Sprintf("%.2f %ciB", x, "KMGTPE"[max(unit, 0)])
}

// Duration formats a time with three digits or so: "850 us", "1.23 s", "2m03s".
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-d)
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < 999500*time.Nanosecond:
		return digits(float64(d)/1e3, "us")
	case d < 999500*time.Microsecond:
		return digits(float64(d)/1e6, "ms")
	case d < 59950*time.Millisecond:
		return digits(float64(d)/1e9, "s")
	}
	s := int64(d.Round(time.Second) / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm%02ds", s/3600, s/60%60, s%60)
}

// digits prints x in [0.9995, 1000) with three digits.
func digits(x float64, unit string) string {
	switch {
	case x < 9.995:
		return fmt.Sprintf("%.2f %s", x, unit)
	case x < 99.95:
		return fmt.Sprintf("%.1f %s", x, unit)
	}
	return fmt.Sprintf("%.0f %s", x, unit)
}
