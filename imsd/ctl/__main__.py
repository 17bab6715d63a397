"""python -m imsd.ctl"""

from imsd.ctl import main

main()
