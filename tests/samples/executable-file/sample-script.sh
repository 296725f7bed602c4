#!/bin/sh
echo weighbridge-sample
